"""Which environment variables the CMDB's secret references need while a playbook runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import select

from drcloud.cmdb.declared import Registry
from drcloud.cmdb.store import Store

_WHOLE = re.compile(r"env:(\w+)\Z")
_INSIDE = re.compile(r"\$\{?(\w+)\}?")


def names(store: Store) -> set[str]:
    """Return the names in ``env:NAME`` and ``file:${NAME}/…`` references of the CMDB."""
    with store.read() as session:
        rows = session.execute(select(Registry.password, Registry.ca)).all()
    return named(reference for row in rows for reference in row if reference)


def named(references: Iterable[str]) -> set[str]:
    """Return the variables that references name."""
    found: set[str] = set()
    for reference in references:
        whole = _WHOLE.match(reference)
        found |= {whole[1]} if whole else set(_INSIDE.findall(reference))
    return found
