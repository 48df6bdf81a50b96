"""Roles of hosts: any word will do, two mean something to ``provision``, and what is nearly one is told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from drcloud.cmdb.plan import Change

# What the plays of ``dianrong.cloud.provision`` ask for; any other role is a group and no more.
MEANT = ("docker", "lb")
# How close a word has to be: ``dokcer`` is, ``worker`` and ``broker`` are not.
CLOSE = 0.75


def nearest(role: str) -> str | None:
    """Return the role that means something and was perhaps meant; None for any other word."""
    near = difflib.get_close_matches(role, MEANT, n=1, cutoff=CLOSE)
    return near[0] if near and near[0] != role else None


def doubt(role: str) -> str | None:
    """Return what is odd about a role that is nearly one that means something; None for any other."""
    near = nearest(role)
    return near and f"has the role {role!r}, which means nothing to provision; did you mean {near}?"


def doubts(changes: Iterable[Change]) -> Iterator[str]:
    """Yield what is odd about the roles that changes give to hosts."""
    for one in changes:
        role = one.after.get("role") if one.kind == "host" else None
        if isinstance(role, str) and (said := doubt(role)):
            yield f"host {one.key} {said}"
