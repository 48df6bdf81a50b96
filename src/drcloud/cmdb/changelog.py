"""The unit of work: every declared write stands in ``change_log``, in the same transaction.

The sequence row is locked when a unit begins, so units commit in the order of their numbers:
a reader that follows ``seq`` never skips a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import UpdateBase, event, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction
from sqlalchemy.orm.exc import StaleDataError

from drcloud.cmdb import actor as actors
from drcloud.cmdb import culprit, policy
from drcloud.cmdb.base import Base, Declared, Document, now
from drcloud.cmdb.natural import Naming, kind_of, kinds
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.operational import Sequence as Counter
from drcloud.errors import InvalidInputError

DECLARED = "declared"
OBSERVED = "observed"
LEASE = "lease"
COUNTERS = (DECLARED, LEASE, OBSERVED)


@dataclass(frozen=True, slots=True)
class Unit:
    """Who writes, why, and under which ticket; ``fact`` tells that nobody decided it."""

    actor: str
    reason: str
    ticket: str | None = None
    fact: bool = False


class RecordedSession(Session):
    """A session that records what it writes to declared tables, and tells whose row was refused."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Write what is pending; the error of a refused row carries the object's name as a note."""
        attempt = culprit.remember(self)
        try:
            super().flush(objects)
        except (IntegrityError, StaleDataError) as error:
            if name := culprit.named(self, attempt, error):
                error.add_note(name)
            raise


def begin(session: Session, unit: Unit) -> None:
    """Make the session a unit of work; the caller commits."""
    if not unit.reason.strip():
        raise InvalidInputError("a declared write needs a reason: say why in one line")
    lock(session, DECLARED)
    if unit.ticket is None:
        unit = replace(unit, ticket=actors.ticket())
    session.info["unit"] = unit
    session.info["guard"] = policy.Guard(frozenset()) if unit.fact else policy.guard(session, unit.ticket)
    _watch()


def lock(session: Session, counter: str) -> int:
    """Lock a counter until the end of the transaction and return its value."""
    return session.scalars(select(Counter.value).where(Counter.name == counter).with_for_update()).one()


def advance(session: Session, counter: str, steps: int = 1) -> int:
    """Move a counter on; it stays locked until the end. Return the first of the new numbers."""
    value = lock(session, counter)
    session.execute(
        update(Counter).where(Counter.name == counter).values(value=value + steps),
        execution_options={"synchronize_session": False},
    )
    return value + 1


@event.listens_for(RecordedSession, "after_flush")
def _record(session: Session, _flush: UOWTransaction) -> None:
    if rows := list(_changes(session)):
        record(session, rows)


def entry(kind: str, key: str, action: str, before: Document | None, after: Document | None) -> Document:
    """Return what the log tells of a write."""
    return {"kind": kind, "key": key, "action": action, "before": before, "after": after}


def record(session: Session, rows: Sequence[Document]) -> None:
    """Log entries of what was written a moment ago; ``DeniedError`` when policy refuses it."""
    unit: Unit | None = session.info.get("unit")
    if unit is None:
        raise RuntimeError(
            f"declared rows are written with Store.write only: {rows[0]['kind']} {rows[0]['key']}"
        )
    policy.enforce(session, session.info["guard"], [policy.Row.of(row) for row in rows])
    first = advance(session, DECLARED, len(rows))
    # One moment for the whole unit: no time lies in the middle of it.
    at = session.info.setdefault("at", now())
    for number, row in enumerate(rows, first):
        row |= {
            "seq": number,
            "at": at,
            "actor": unit.actor,
            "reason": unit.reason,
            "ticket": unit.ticket,
        }
    session.connection().execute(insert(ChangeLog), rows)


@event.listens_for(RecordedSession, "do_orm_execute")
def _refuse_bulk(state: ORMExecuteState) -> None:
    """Refuse statements that write declared rows past the log."""
    statement = state.statement
    if isinstance(statement, UpdateBase) and getattr(statement.table, "name", None) in kinds():
        raise RuntimeError(f"bulk writes of {statement.table} would not be logged: change rows")


@cache
def _watch() -> None:
    """Have the old value of a field loaded before it is replaced, also of a row that has expired."""
    for kind in kinds().values():
        for field in kind.fields.values():
            event.listen(getattr(kind.model, field.column), "set", _replaced, active_history=True)


def _replaced(_row: Base, _value: Any, _old: Any, _initiator: Any) -> None:
    """Do nothing: that somebody listens makes SQLAlchemy load the old value."""


def _changes(session: Session) -> Iterator[Document]:
    """Yield what a flush has written as a story that can be undone from its end.

    Each entry tells other rows by the keys they have at that point of the story: first what went,
    then what has another key now, one after the other, then the rest by the keys of now.
    """
    new, dirty, gone = (_declared(rows) for rows in (session.new, session.dirty, session.deleted))
    now_named, earlier = Naming(session, new), _Before(session, new, [*dirty, *gone])
    for row in reversed(gone):
        yield _row(earlier, row, "delete", earlier.document(row, _before(row)), None)
    moved = [row for row in dirty if now_named.key(row) != earlier.key(row)]
    for number, row in enumerate(moved, 1):
        yield from _update(_Before(session, new, moved[number:]), row)
    for row in new:
        yield _row(now_named, row, "create", None, now_named.document(row))
    told = frozenset(moved)
    for row in dirty:
        if row not in told:
            yield from _update(now_named, row)


class _Before(Naming):
    """Natural keys where some rows still have the fields of before the flush."""

    def __init__(self, session: Session, unsaved: Iterable[Base], pending: Iterable[Base]) -> None:
        super().__init__(session, unsaved)
        self._pending = frozenset(pending)

    def key(self, row: Base) -> str:
        return self._key(kind_of(row), _before(row)) if row in self._pending else super().key(row)


def _update(naming: Naming, row: Base) -> Iterator[Document]:
    before, after = naming.document(row, _before(row)), naming.document(row)
    if before != after:
        yield _row(naming, row, "update", before, after)


def _declared(rows: Any) -> list[Base]:
    order = list(kinds())
    found = [row for row in rows if isinstance(row, Declared) and isinstance(row, Base)]
    return sorted(found, key=lambda row: (order.index(row.__tablename__), row.id))


def _row(naming: Naming, row: Base, action: str, before: Document | None, after: Document | None) -> Document:
    return entry(kind_of(row).name, naming.key(row), action, before, after)


def _before(row: Base) -> Callable[[str], Any]:
    state = inspect(row)

    def read(column: str) -> Any:
        history = state.attrs[column].history
        return history.deleted[0] if history.deleted else getattr(row, column)

    return read
