"""What a build is given, and what is made of the engine's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from drcloud.cmdb import objects
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import builder, releases
from drcloud.delivery.builder import BuildError, BuildRequest
from drcloud.delivery.registry import RegistryDeniedError
from drcloud.errors import DeniedError, DrcloudError, InvalidInputError, NotFoundError, UnreachableError

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


def request(source: Path = Path()) -> BuildRequest:
    return BuildRequest("demo", "rt67", source, build_id="42", args={"BASE": "x"})


def test_an_image_says_where_it_comes_from() -> None:
    assert builder.labels(request(), "abc") == {
        "com.dianrong.cloud.app": "demo",
        "com.dianrong.cloud.tag": "rt67",
        "com.dianrong.cloud.git-ref": "abc",
        "com.dianrong.cloud.build": "42",
        "org.opencontainers.image.revision": "abc",
        "org.opencontainers.image.version": "rt67",
    }
    assert builder.build_args(request(), None) == {"VERSION": "rt67", "GIT_REF": "", "BASE": "x"}


def test_a_failed_build_shows_its_last_lines() -> None:
    seen: list[str] = []
    stream = [{"stream": "Step 1/2 : RUN false\n"}, {"error": "returned a non-zero code: 1"}]
    with pytest.raises(
        BuildError, match=r"cannot build demo:rt67: returned a non-zero code: 1.*\n  Step 1/2"
    ):
        builder.follow_build(stream, request(), seen.append)
    assert seen == ["Step 1/2 : RUN false"]


def test_a_build_is_shown_without_the_engines_housekeeping() -> None:
    seen: list[str] = []
    words = ["Step 1/1 : RUN make", " ---> Running in 0123", "made", "Removing intermediate container 0123"]
    builder.follow_build([{"stream": f"{line}\n"} for line in words], request(), seen.append)
    assert seen == ["Step 1/1 : RUN make", "made"]


def test_a_push_ends_with_the_digest() -> None:
    stream = [{"status": "Pushed", "id": "1"}, {"aux": {"Digest": DIGEST}}]
    assert builder.follow_push(stream, "r/demo:rt67", lambda line: None) == DIGEST


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("unauthorized: authentication required", RegistryDeniedError),
        ("x509: certificate signed by unknown authority", InvalidInputError),
        ("dial tcp: connection refused", UnreachableError),
        ("blob upload unknown", BuildError),
    ],
)
def test_a_push_error_hides_in_the_answer(words: str, kind: type[DrcloudError]) -> None:
    with pytest.raises(kind, match="cannot push r:5000/demo:rt67"):
        builder.follow_push([{"error": words}], "r:5000/demo:rt67", lambda line: None)


def test_a_push_without_a_digest_is_no_push() -> None:
    with pytest.raises(BuildError, match="did not say which digest"):
        builder.follow_push([{"status": "done"}], "r/demo:rt67", lambda line: None)


def test_a_tree_without_the_apps_dockerfile(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="app demo has no Dockerfile"):
        builder.build(store, request(tmp_path))
    with pytest.raises(NotFoundError, match="there is no app 'dmo'"):
        builder.build(store, BuildRequest("dmo", "rt67", tmp_path))
    with pytest.raises(InvalidInputError, match="is not a tag"):
        builder.build(store, BuildRequest("demo", "no tag", tmp_path))


def test_a_commit_is_labelled_with_what_was_asked_for_and_what_it_is() -> None:
    asked = BuildRequest("demo", "rt67", Path(), from_git="rel/67", build_id="42", ticket="CHG-8")
    found = builder.labels(asked, "c0ffee")
    assert found["com.dianrong.cloud.git-ref"] == "rel/67"
    assert found["com.dianrong.cloud.ticket"] == "CHG-8"
    assert found["com.dianrong.cloud.build"] == "42"
    assert found["org.opencontainers.image.revision"] == "c0ffee"


def test_a_build_of_a_guarded_tag_is_denied_before_anything_is_built(store: Store, tmp_path: Path) -> None:
    guard = Wanted("environment", {"change_required": True}, "prod")
    objects.change(store, [guard], reason="test")
    with pytest.raises(DeniedError, match="channel demo:prod belongs to environment prod"):
        builder.build(store, BuildRequest("demo", "prod", tmp_path))


def test_a_commit_and_a_name_for_a_tree_do_not_go_together(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="--from-git knows its commit"):
        builder.build(store, BuildRequest("demo", "rt67", tmp_path, git_ref="v1", from_git="rel/67"))


def test_a_release_is_recorded_once_and_its_channel_moves(store: Store) -> None:
    assert releases.record(store, "demo", "rt67", DIGEST, git_ref="abc")
    assert not releases.record(store, "demo", "rt67", DIGEST, git_ref="abc")
    assert releases.record(store, "demo", "rt67", OTHER)
    assert [(row.digest, row.current) for row in releases.listed(store, "demo")] == [
        (OTHER, True),
        (DIGEST, False),
    ]
    assert releases.record(store, "demo", "rt67", DIGEST)
    assert [row.current for row in releases.listed(store)] == [False, True]
    assert releases.shown(store, "demo", "rt67").app == "demo"
    with pytest.raises(NotFoundError, match="app demo has no release 'rt66'"):
        releases.shown(store, "demo", "rt66")
