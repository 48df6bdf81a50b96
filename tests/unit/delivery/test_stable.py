"""Which revisions are stable, and where a rollback, a host and a resume go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from drcloud.delivery import stable
from drcloud.delivery.stable import Recorded
from drcloud.errors import NotFoundError


def past(*words: str) -> list[Recorded]:
    """Read ``tag/revision``; ``!`` before it is a deployment that failed, ``<`` a rollback."""
    found = []
    for number, word in enumerate(words):
        kind = "rollback" if "<" in word else "deploy"
        state = "failed" if "!" in word else "succeeded"
        tag, revision = word.strip("!<").split("/")
        found.append(Recorded(f"d{number}", kind, tag, "sha256:0", revision, 1, state))
    return found


@pytest.mark.parametrize(
    ("words", "standing", "goal"),
    [
        (("a/1", "b/2"), ["1", "2"], "1"),
        (("a/1", "b/2", "!c/3"), ["1", "2"], "2"),
        (("a/1", "b/2", "<a/1", "c/3"), ["1", "3"], "1"),
        (("a/1", "b/2", "c/3", "<b/2"), ["1", "2"], "1"),
        (("a/1", "b/2", "b/2"), ["1", "2"], "1"),
        (("a/1", "b/2", "a/1"), ["1", "2", "1"], "2"),
        (("a/1", "b/2", "c/3", "<a/1", "!<b/2"), ["1"], "1"),
    ],
)
def test_going_back_goes_further_back_each_time(words: Sequence[str], standing: list[str], goal: str) -> None:
    found = past(*words)
    assert [item.revision for item in stable.standing(found)] == standing
    assert stable.back(found, "demo in prod").revision == goal


@pytest.mark.parametrize(
    ("words", "tag", "message"),
    [
        ((), None, "no deployment of it succeeded yet"),
        (("!a/1",), None, "no deployment of it succeeded yet"),
        (("a/1",), None, "it was rolled to one revision only"),
        (("a/1", "!b/2"), "b", "demo in prod never ran b to the end: its stable tags are a"),
        (("!b/2",), "b", "its stable tags are none at all"),
    ],
)
def test_where_there_is_no_way_back(words: Sequence[str], tag: str | None, message: str) -> None:
    with pytest.raises(NotFoundError, match=message):
        stable.back(past(*words), "demo in prod", tag)


def test_a_tag_means_what_it_was_when_it_was_stable() -> None:
    assert stable.back(past("a/1", "b/2", "a/3", "b/4"), "demo in prod", "a").revision == "3"
    # The present revision is no way back, where the tag had another one before.
    assert stable.back(past("a/1", "b/2", "a/3"), "demo in prod", "a").revision == "1"
    assert stable.back(past("a/1", "b/2", "<a/1"), "demo in prod", "b").revision == "2"


@pytest.mark.parametrize(
    ("words", "previous", "goal"),
    [
        (("a/1", "b/2", "!c/3"), "2", "2"),
        (("a/1", "b/2", "!c/3"), "1", "1"),
        (("a/1", "b/2", "!c/3", "!c/3"), "3", "2"),
        (("a/1", "!c/3"), "x", "1"),
        (("a/1", "!c/3"), None, None),
        (("!c/3",), "x", None),
    ],
)
def test_a_host_goes_back_to_its_own_stable_revision(
    words: Sequence[str], previous: str | None, goal: str | None
) -> None:
    found = stable.of_host(past(*words), previous, "3")
    assert (found.revision if found else None) == goal


def test_a_resume_goes_on_with_what_was_cut_short() -> None:
    assert stable.unfinished(past("a/1", "!b/2"), "demo in prod").revision == "2"
    assert stable.unfinished(past("a/1"), "demo in prod").revision == "1"
    with pytest.raises(NotFoundError, match="demo in prod was never deployed"):
        stable.unfinished([], "demo in prod")
    reverted = Recorded("d", "deploy", "b", "sha256:0", "2", 1, "reverted")
    with pytest.raises(NotFoundError, match="was put back on every host"):
        stable.unfinished([*past("a/1"), reverted], "demo in prod")
