"""The hosts of the CMDB in short: where each stands, what it is, how large, and how much is placed on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import snapshot
from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import HostFact
from drcloud.cmdb.selection import Selection
from drcloud.cmdb.snapshot import HostRow
from drcloud.cmdb.store import Store
from drcloud.errors import NothingMatchedError


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host; ``memory`` in bytes. What it never said of itself is None."""

    name: str
    role: str
    state: str
    rack: str | None
    address: str | None
    engine: str | None
    cpus: int | None
    memory: int | None
    placed: int
    facts_at: datetime | None

    def as_document(self) -> Document:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        return {**asdict(self), "facts_at": self.facts_at.isoformat() if self.facts_at else None}


def read(store: Store, selection: Selection) -> list[HostLine]:
    """Return the selected hosts by name.

    ``NotFoundError`` for a value that nothing in the CMDB has, ``NothingMatchedError`` where no host
    has all of them.
    """
    with store.read() as session:
        rows = snapshot.load(session, selection, parts=frozenset())
        facts = _facts(session) if rows.hosts else {}
    if not rows.hosts:
        raise NothingMatchedError(_nothing(rows.unselected, selection))
    placed = Counter(name for row in rows.placements for name in row.hosts)
    return [_line(row, placed[row.name], facts.get(row.name, ())) for row in rows.hosts]


def _facts(session: Session) -> dict[str, tuple[Any, ...]]:
    """Return of each host when it was looked at, its engine, its processors and its memory."""
    facts = HostFact.facts
    columns = (
        facts["engine"]["version"].as_string(),
        facts["cpu"]["count"].as_integer(),
        facts["memory"]["total"].as_integer(),
    )
    query = select(Host.name, HostFact.observed_at, *columns).join(HostFact.host)
    return {name: tuple(values) for name, *values in session.execute(query)}


def _line(row: HostRow, placed: int, facts: tuple[Any, ...]) -> HostLine:
    seen, engine, cpus, memory = facts or (None, None, None, None)
    return HostLine(
        name=row.name,
        role=row.role,
        state=row.state,
        rack=row.rack,
        address=row.address,
        engine=engine,
        cpus=cpus,
        memory=memory,
        placed=placed,
        facts_at=seen,
    )


def _nothing(known: int, selection: Selection) -> str:
    if any(selection.given()):
        return f"no host of the CMDB matches {selection}: change the filters"
    if known:
        return "the CMDB holds only retired hosts: `drcloud host list --state retired` shows them"
    return "the CMDB holds no hosts: declare hosts in a file and run `drcloud cmdb import FILE`"
