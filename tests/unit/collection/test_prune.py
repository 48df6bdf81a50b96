"""What a host lets go of, and what it says of images: never more than what is ours and nobody wants."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _prune, _seen

OURS = "registry.test:5000/dianrong/demo"
RULES = _prune.Rules(
    revisions={("demo", "prod"): frozenset({"r2", "r1"})},
    digests=frozenset({"sha256:2", "sha256:1"}),
    repositories=frozenset({OURS}),
)


def entry(name, revision, status="exited", app="demo", env="prod"):
    return {"id": f"id-{name}", "name": name, "app": app, "env": env, "revision": revision, "status": status}


def image(number, *names, tags=None, size=10):
    names = names or (f"{OURS}@sha256:{number}",)
    return {"Id": f"image-{number}", "RepoDigests": list(names), "RepoTags": tags, "Size": size}


def uses(name, number):
    return {"Id": f"id-{name}", "ImageID": f"image-{number}"}


@pytest.mark.parametrize(
    ("found", "goes"),
    [
        (entry("old", "r0"), True),
        (entry("old", "r0", "created"), True),
        (entry("old", "r0", "dead"), True),
        (entry("kept", "r1"), False),
        (entry("runs", "r0", "running"), False),
        (entry("starts", "r0", "restarting"), False),
        (entry("paused", "r0", "paused"), False),
        # The ledger does not know it: an app that was adopted, or another environment.
        (entry("other", "r0", app="shop"), False),
        (entry("other", "r0", env="qa"), False),
    ],
)
def test_instances(found, goes):
    made = _prune.plan([found], [], [], RULES)
    assert [one["name"] for one in made.instances] == ([found["name"]] if goes else [])


@pytest.mark.parametrize(
    ("found", "goes"),
    [
        (image(0), True),
        (image(0, tags=["<none>:<none>"]), True),
        (image(1), False),
        (image(0, tags=["mine:keep"]), False),
        (image(0, "docker.io/library/nginx@sha256:0"), False),
        (image(0, f"{OURS}@sha256:0", "other.test/demo@sha256:0"), False),
        (image(0, f"{OURS}@sha256:0", f"{OURS}@sha256:1"), False),
        # A name that only begins like ours is somebody else's.
        (image(0, f"{OURS}-tools@sha256:0"), False),
        (image(0, "<none>@<none>"), False),
        ({"Id": "image-0", "RepoDigests": None, "RepoTags": None}, False),
    ],
)
def test_images(found, goes):
    made = _prune.plan([], [], [found], RULES)
    assert list(made.images) == (found["RepoDigests"] if goes else [])
    assert made.bytes == (10 if goes else 0)


def test_an_image_goes_with_the_last_container_that_uses_it():
    old, runs = entry("old", "r0"), entry("runs", "r0", "running")
    assert _prune.plan([old], [uses("old", 0)], [image(0)], RULES).lines() == [
        "container old",
        f"image {OURS}@sha256:0",
    ]
    # It runs elsewhere on this host, as ours or as anybody's.
    for other in (runs, None):
        instances = [old, other] if other else [old]
        containers = [uses("old", 0), uses("runs", 0)]
        assert _prune.plan(instances, containers, [image(0)], RULES).lines() == ["container old"]


def test_a_plan_is_in_order_and_once_done_there_is_nothing_to_do():
    entries = [entry("b", "r0"), entry("a", "r9"), entry("kept", "r1")]
    made = _prune.plan(entries, [], [image(9, f"{OURS}@sha256:9"), image(0)], RULES)
    assert made.lines() == [
        "container a",
        "container b",
        f"image {OURS}@sha256:0",
        f"image {OURS}@sha256:9",
    ]
    assert _prune.plan([entry("kept", "r1")], [], [image(1)], RULES).lines() == []


@pytest.mark.parametrize(
    ("name", "digests", "digest"),
    [
        (f"{OURS}@sha256:7", [], "sha256:7"),
        (f"{OURS}@sha256:7", [f"{OURS}@sha256:0"], "sha256:7"),
        # By hand, from the right image, another one, and one that no registry knows.
        (f"{OURS}:rt67", ["x@sha256:9", f"{OURS}@sha256:0"], "sha256:0"),
        (f"{OURS}:rt67", ["x@sha256:9"], "sha256:9"),
        ("local", [], "sha256:image"),
        ("", [], "sha256:image"),
    ],
)
def test_the_digest_is_of_the_image_and_not_of_the_label(name, digests, digest):
    container = {"Config": {"Image": name}, "Image": "sha256:image"}
    assert _seen.digest_of(container, "sha256:0", digests) == digest
