"""Which channel a branch is built for. Pure.

========================  =========
branch                    tag
========================  =========
develop                   latest
rel/67, release/67        rt67
master                    prod
========================  =========
"""

from __future__ import annotations

import re

from drcloud.errors import InvalidInputError

FIXED = {"develop": "latest", "master": "prod"}
TRAIN = re.compile(r"(?:rel|release)/([0-9]+)")
# How git and CI servers write the same branch.
PREFIXES = ("refs/heads/", "refs/remotes/", "origin/")


def tag_of_branch(branch: str) -> str:
    """Return the tag that a branch is built under; InvalidInputError for one that has none."""
    name = branch
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    if name in FIXED:
        return FIXED[name]
    if train := TRAIN.fullmatch(name):
        return f"rt{train[1]}"
    raise InvalidInputError(
        f"branch {branch!r} has no channel: develop is latest, rel/67 or release/67 is rt67, master is prod; "
        "name the tag of any other with --tag"
    )
