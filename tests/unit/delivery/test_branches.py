"""Which channel a branch is built for."""

from __future__ import annotations

import pytest

from drcloud.delivery.branches import tag_of_branch
from drcloud.errors import InvalidInputError


@pytest.mark.parametrize(
    ("branch", "tag"),
    [
        ("develop", "latest"),
        ("master", "prod"),
        ("rel/67", "rt67"),
        ("release/67", "rt67"),
        ("origin/rel/8", "rt8"),
        ("refs/heads/master", "prod"),
        ("refs/remotes/origin/develop", "latest"),
    ],
)
def test_a_branch_has_a_tag(branch: str, tag: str) -> None:
    assert tag_of_branch(branch) == tag


@pytest.mark.parametrize("branch", ["", "main", "feature/x", "rel/", "rel/6a", "release/67/x", "Develop"])
def test_others_have_none(branch: str) -> None:
    with pytest.raises(InvalidInputError, match="has no channel: develop is latest"):
        tag_of_branch(branch)
