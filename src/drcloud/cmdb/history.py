"""The declared state as it was, and what changed between two moments.

The past is the present with the newer entries of ``change_log`` undone, newest first: only
those are read, by the index on ``seq``. A key that changed (a rename) changes back in
everything that refers to it, for references are told by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import state as states
from drcloud.cmdb import values
from drcloud.cmdb.base import Document
from drcloud.cmdb.moments import resolve, resolve_both, resolve_known
from drcloud.cmdb.natural import Kind, join_key, kinds
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.plan import Change
from drcloud.errors import CmdbError

__all__ = [
    "Selection",
    "change_of",
    "compare",
    "diff",
    "documents",
    "entries",
    "resolve",
    "resolve_both",
    "resolve_known",
]

Documents = dict[str, dict[str, Document]]
BATCH = 1000


class Selection(NamedTuple):
    """Which entries of the log: of a kind, an object, after and up to a change, an actor, a ticket."""

    kind: str | None = None
    key: str | None = None
    after: int = 0
    until: int | None = None
    actor: str | None = None
    ticket: str | None = None


class Entry(NamedTuple):
    """What the log says of one row."""

    seq: int
    kind: str
    key: str
    action: str
    before: Document | None
    after: Document | None


def documents(session: Session, seq: int) -> Documents:
    """Return the declared state after change ``seq``, in the form of ``state.load().documents``.

    ``CmdbError`` when the log does not lead back from the present state, which then was written
    past the log.
    """
    state = states.read(session)
    for entry in _entries(session, seq, newest_first=True):
        _undo(state, entry)
    return state


def diff(session: Session, a: int, b: int) -> tuple[Change, ...]:
    """Return what has to change in the state after ``a`` to get the one after ``b``, net and by object.

    What was created and deleted in between does not appear; an object whose key changed is a
    deletion and a creation. Only the log between the two is read.
    """
    if a > b:
        return tuple(_reversed(change) for change in diff(session, b, a))
    net: dict[tuple[str, str], tuple[Document | None, Document | None]] = {}
    for entry in _entries(session, a, b):
        for key, before, after in _sides(entry):
            if key is None:
                # Keys of other objects changed with this one, without entries of their own.
                return compare(documents(session, a), documents(session, b))
            first = net.get((entry.kind, key), (before, None))[0]
            net[entry.kind, key] = first, after
    return _ordered(
        _change(kind, key, before, after) for (kind, key), (before, after) in net.items() if before != after
    )


def entries(session: Session, chosen: Selection, limit: int | None = None) -> list[ChangeLog]:
    """Return entries of the log, the newest first."""
    query = select(ChangeLog).where(ChangeLog.seq > chosen.after).order_by(ChangeLog.seq.desc()).limit(limit)
    if chosen.until is not None:
        query = query.where(ChangeLog.seq <= chosen.until)
    for name in ("kind", "key", "actor", "ticket"):
        if (value := getattr(chosen, name)) is not None:
            query = query.where(getattr(ChangeLog, name) == value)
    return list(session.scalars(query))


def change_of(row: ChangeLog) -> Change:
    """Return what an entry of the log says, with the fields that differ."""
    if row.before is None or row.after is None:
        return _change(row.kind, row.key, row.before, row.after)
    before = {name: row.before.get(name) for name in row.after}
    return _change(row.kind, row.key, before, row.after)


def compare(before: Mapping[str, Mapping[str, Document]], after: Documents) -> tuple[Change, ...]:
    """Return what has to change in one state to get another."""
    changes = []
    for kind in kinds():
        old, new = before[kind], after[kind]
        for key in old.keys() | new.keys():
            if old.get(key) != new.get(key):
                changes.append(_change(kind, key, old.get(key), new.get(key)))
    return _ordered(iter(changes))


def _entries(
    session: Session, after: int, until: int | None = None, *, newest_first: bool = False
) -> Iterator[Entry]:
    names = (
        ChangeLog.seq,
        ChangeLog.kind,
        ChangeLog.key,
        ChangeLog.action,
        ChangeLog.before,
        ChangeLog.after,
    )
    query = select(*names).where(ChangeLog.seq > after)
    if until is not None:
        query = query.where(ChangeLog.seq <= until)
    query = query.order_by(ChangeLog.seq.desc() if newest_first else ChangeLog.seq)
    for row in session.execute(query, execution_options={"yield_per": BATCH}):
        kind = kinds()[row[1]]
        before, after_ = (side and _complete(kind, side) for side in (row[4], row[5]))
        yield Entry(row[0], row[1], row[2], row[3], before, after_)


def _complete(kind: Kind, document: Document) -> Document:
    """Return a document with the fields that the kind has now: an older schema had others."""
    if document.keys() == kind.fields.keys():
        return document
    return {name: document[name] if name in document else values.default(kind, name) for name in kind.fields}


def _key(kind: Kind, document: Document) -> str:
    return join_key(kind, document.get)


@cache
def _references() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return which fields of which kinds refer to a kind."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in kinds()}
    for kind in kinds().values():
        for field in kind.fields.values():
            if field.target is not None:
                found[field.target].append((kind.name, field.name))
    return {name: tuple(fields) for name, fields in found.items()}


def _undo(state: Documents, entry: Entry) -> None:
    rows = state[entry.kind]
    if (entry.after is None) is (entry.key in rows):
        raise CmdbError(
            f"change {entry.seq} of the log does not lead to {entry.kind} {entry.key} as it is in the CMDB: "
            "it was written past the log; restore it from a backup"
        )
    if entry.before is None:
        del rows[entry.key]
    elif entry.after is None:
        rows[entry.key] = entry.before
    else:
        # Only what this change changed: a reference may be told by a newer key than it had then.
        old = {name: value for name, value in entry.before.items() if value != entry.after[name]}
        rows[entry.key] = {**rows[entry.key], **old}
        _rename(state, kinds()[entry.kind], entry.key)


def _rename(state: Documents, kind: Kind, key: str) -> None:
    """Put a document that no longer has its key under the one it has, and tell those that refer to it."""
    fields = state[kind.name][key]
    new = _key(kind, fields)
    if new == key:
        return
    del state[kind.name][key]
    state[kind.name][new] = fields
    for other, name in _references()[kind.name]:
        for place in [place for place, row in state[other].items() if row[name] == key]:
            state[other][place] = {**state[other][place], name: new}
            _rename(state, kinds()[other], place)


def _sides(entry: Entry) -> Iterator[tuple[str | None, Document | None, Document | None]]:
    """Yield the keys an entry speaks of, each with what it was before and after; None: of more than that."""
    before, after = entry.before, entry.after
    if before is None or after is None:
        yield entry.key, before, after
        return
    kind = kinds()[entry.kind]
    old = _key(kind, {**after, **{name: value for name, value in before.items() if value != after[name]}})
    if old == entry.key:
        yield entry.key, before, after
    elif _references()[entry.kind]:
        yield None, None, None
    else:
        yield old, before, None
        yield entry.key, None, after


def _change(kind: str, key: str, before: Document | None, after: Document | None) -> Change:
    if before is None or after is None:
        return Change(kind, key, "create" if before is None else "delete", before or {}, after or {})
    names = [name for name in after if before[name] != after[name]]
    old, new = ({name: side[name] for name in names} for side in (before, after))
    return Change(kind, key, "update", old, new)


def _reversed(change: Change) -> Change:
    actions: dict[str, Any] = {"create": "delete", "delete": "create", "update": "update"}
    return Change(change.kind, change.key, actions[change.action], change.after, change.before)


def _ordered(changes: Iterator[Change]) -> tuple[Change, ...]:
    order = {kind: number for number, kind in enumerate(kinds())}
    return tuple(sorted(changes, key=lambda change: (order[change.kind], change.key)))
