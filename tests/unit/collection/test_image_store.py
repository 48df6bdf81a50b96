"""A registry's directory: what is read, what may go, and what must never go."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _image_store as images
from ansible_collections.dianrong.cloud.plugins.module_utils._image_store import (
    Blob,
    Listing,
    Manifest,
    Rules,
)

DAY = 86400.0
NOW = 1000 * DAY
OLD, YOUNG = NOW - 40 * DAY, NOW - 3 * DAY
DEMO = "dianrong/demo"


def digest(name):
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def manifest(name, pushed=OLD, repository=DEMO, layers=("base",), children=(), subject=None):
    blobs = () if children else tuple(digest(one) for one in (f"config of {name}", *layers))
    about = digest(subject) if subject else None
    return Manifest(repository, digest(name), pushed, tuple(map(digest, children)), blobs, about)


def listing(*manifests, tags=None, loose=(), uploading=0.0):
    blobs = {one: Blob(10, OLD) for item in manifests for one in (item.digest, *item.blobs)}
    blobs |= {digest(name): Blob(10, written) for name, written in loose}
    found = {(repository, tag): digest(name) for (repository, tag), name in (tags or {}).items()}
    return Listing(tuple(manifests), found, blobs, uploading)


def rules(*named, older_than=14 * DAY, repositories=(DEMO,), keep_tags=()):
    return Rules(frozenset(map(digest, named)), frozenset(repositories), older_than, keep_tags)


def goes(found, asked):
    names = {one.digest: one for one in found.manifests}
    return {names[item.digest].digest for item, _tags in images.plan(found, asked, NOW).manifests}


@pytest.mark.parametrize(
    ("manifests", "tags", "asked", "gone"),
    [
        pytest.param([manifest("a"), manifest("b")], {}, rules("a"), ["b"], id="nobody names it"),
        pytest.param([manifest("a"), manifest("b", YOUNG)], {}, rules("a"), [], id="it is young"),
        pytest.param(
            [manifest("a"), manifest("b")], {(DEMO, "t"): "b"}, rules("a"), ["b"], id="a tag is no name"
        ),
        pytest.param(
            [manifest("a"), manifest("b")],
            {(DEMO, "base-1"): "b"},
            rules("a", keep_tags=("dianrong/*:base-*",)),
            [],
            id="a pattern keeps its tag",
        ),
        pytest.param(
            [manifest("a"), manifest("b", repository="base/python")],
            {},
            rules("a"),
            [],
            id="the repository is of no app",
        ),
        pytest.param(
            [manifest("a"), manifest("b", repository="dianrong/new")],
            {},
            rules("a", repositories=(DEMO, "dianrong/new")),
            [],
            id="nothing of the repository is named yet",
        ),
        pytest.param(
            [manifest("x"), manifest("y"), manifest("i", children=("x", "y")), manifest("b")],
            {},
            rules("i"),
            ["b"],
            id="an index keeps its children",
        ),
        pytest.param(
            [manifest("x"), manifest("i", children=("x",)), manifest("a")],
            {},
            rules("a"),
            ["i", "x"],
            id="an index that goes takes its children",
        ),
        pytest.param(
            [manifest("x"), manifest("i", children=("x",)), manifest("j", children=("x",))],
            {},
            rules("j"),
            ["i"],
            id="a child that another index has stays",
        ),
        pytest.param(
            [manifest("x"), manifest("i", YOUNG, children=("x",)), manifest("a")],
            {},
            rules("a"),
            [],
            id="a young index keeps its old children",
        ),
        pytest.param(
            [
                manifest("a"),
                manifest("s", subject="a"),
                manifest("t", subject="s"),
                manifest("u", subject="b"),
            ],
            {},
            rules("a"),
            ["u"],
            id="what is about a manifest stays with it",
        ),
        pytest.param(
            [manifest("a"), manifest("s"), manifest("o")],
            {
                (DEMO, digest("a").replace(":", "-") + ".sig"): "s",
                (DEMO, digest("b").replace(":", "-") + ".sig"): "o",
            },
            rules("a"),
            ["o"],
            id="a signature filed under a digest stays with it",
        ),
        pytest.param(
            [manifest("a"), manifest("b"), manifest("b", repository="dianrong/other")],
            {},
            rules("a", repositories=(DEMO, "dianrong/other")),
            ["b"],
            id="the same digest in another repository is another thing",
        ),
    ],
)
def test_what_goes(manifests, tags, asked, gone):
    assert goes(listing(*manifests, tags=tags), asked) == set(map(digest, gone))


def test_what_goes_takes_its_tags_and_its_own_blobs():
    found = listing(
        manifest("a", layers=("base", "of a")),
        manifest("b", layers=("base", "of b")),
        tags={(DEMO, "t1"): "b", (DEMO, "t2"): "b", (DEMO, "t3"): "a"},
    )
    plan = images.plan(found, rules("a"), NOW)
    assert [tags for _manifest, tags in plan.manifests] == [("t1", "t2")]
    assert set(plan.blobs) == set(map(digest, ("b", "config of b", "of b")))
    assert plan.size == 30


def test_blobs_that_a_killed_run_left_are_found_again():
    found = listing(manifest("a"), loose=[("left", OLD), ("just pushed", YOUNG)])
    plan = images.plan(found, rules("a"), NOW)
    assert set(plan.blobs) == {digest("left")}
    assert plan.pushing == YOUNG


def test_an_upload_is_a_push_that_may_be_going_on():
    assert images.plan(listing(manifest("a"), uploading=NOW - 5), rules("a"), NOW).pushing == NOW - 5
    assert images.plan(listing(manifest("a")), rules("a"), NOW).pushing == 0


def test_what_is_named_and_not_there_is_told():
    assert images.plan(listing(manifest("a")), rules("a", "z"), NOW).missing == (digest("z"),)


@pytest.mark.parametrize(
    ("found", "asked", "words"),
    [
        (listing(manifest("a")), rules(), "no digest is named"),
        (listing(manifest("a")), rules("z"), "none of the 1 named digests is there"),
        (listing(), rules("a"), "none of the 1 named digests is there"),
    ],
)
def test_nothing_goes_where_the_answer_does_not_fit(found, asked, words):
    with pytest.raises(images.ListingError, match=words):
        images.plan(found, asked, NOW)


class Store:
    """A directory as a registry leaves it."""

    def __init__(self, path):
        self.path = path
        self.root = path / "docker" / "registry" / "v2"

    def write(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def blob(self, content):
        name = hashlib.sha256(content).hexdigest()
        self.write(self.root / "blobs" / "sha256" / name[:2] / name / "data", content)
        return f"sha256:{name}"

    def push(self, repository, document, tag=None):
        found = self.blob(json.dumps(document).encode())
        home = self.root / "repositories" / repository / "_manifests"
        link = home / "revisions" / "sha256" / found.removeprefix("sha256:") / "link"
        self.write(link, found.encode())
        os.utime(link, (OLD, OLD))
        if tag:
            self.write(home / "tags" / tag / "current" / "link", found.encode())
        return found

    def image(self, repository, name, tag=None):
        layer, config = self.blob(f"layer {name}".encode()), self.blob(f"config {name}".encode())
        parts = {"config": {"digest": config}, "layers": [{"digest": layer}]}
        return self.push(repository, {"schemaVersion": 2, **parts}, tag)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_a_directory_is_read_and_what_goes_is_removed(store):
    first, second = store.image(DEMO, "1", "t1"), store.image(DEMO, "2", "t2")
    child = store.image(DEMO, "amd64")
    index = store.push(DEMO, {"schemaVersion": 2, "manifests": [{"digest": child}]}, "m1")
    found = images.read(str(store.path))
    assert {one.digest for one in found.manifests} == {first, second, child, index}
    assert {one.pushed for one in found.manifests} == {OLD}
    assert found.tags == {(DEMO, "t1"): first, (DEMO, "t2"): second, (DEMO, "m1"): index}
    asked = Rules(frozenset([first, index]), frozenset([DEMO]), DAY)
    images.remove(str(store.path), images.plan(found, asked, NOW).manifests)
    left = images.read(str(store.path))
    assert {one.digest for one in left.manifests} == {first, child, index}
    assert set(left.tags) == {(DEMO, "t1"), (DEMO, "m1")}
    assert images.plan(left, asked, NOW).manifests == ()


def test_repositories_lie_in_one_another(store):
    store.image("a", "1")
    store.image("a/b", "2")
    assert {one.repository for one in images.read(str(store.path)).manifests} == {"a", "a/b"}


def test_an_upload_that_has_not_ended_is_seen(store):
    store.image(DEMO, "1")
    store.write(store.root / "repositories" / DEMO / "_uploads" / "0b36c4db" / "startedat", b"")
    assert images.read(str(store.path)).uploading > NOW


def test_a_directory_without_images_is_no_answer(tmp_path):
    with pytest.raises(images.ListingError, match="holds no images"):
        images.read(str(tmp_path))


def break_content(store, digest):
    name = digest.removeprefix("sha256:")
    (store.root / "blobs" / "sha256" / name[:2] / name / "data").write_text("{")


def lose_content(store, digest):
    name = digest.removeprefix("sha256:")
    (store.root / "blobs" / "sha256" / name[:2] / name / "data").unlink()


def mislead(store, digest):
    name = digest.removeprefix("sha256:")
    link = store.root / "repositories" / DEMO / "_manifests" / "revisions" / "sha256" / name / "link"
    link.write_text("sha256:" + "0" * 64)


def unknown(store, digest):
    store.push(DEMO, {"schemaVersion": 9, "things": []})


@pytest.mark.parametrize("damage", [break_content, lose_content, mislead, unknown])
def test_what_cannot_be_read_is_an_error_and_not_an_omission(store, damage):
    damage(store, store.image(DEMO, "1"))
    with pytest.raises(images.ListingError, match=r"cannot be read in|leads to|unknown kind"):
        images.read(str(store.path))
