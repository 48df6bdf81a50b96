"""The unit of work: every declared write stands in ``change_log``, in the same transaction.

The sequence row is locked when a unit begins, so units commit in the order of their numbers:
a reader that follows ``seq`` never skips a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, insert, inspect, select, update
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from drcloud.cmdb.base import Base, Declared, Document, now
from drcloud.cmdb.natural import Naming, kind_of, kinds
from drcloud.cmdb.operational import ChangeLog, Sequence
from drcloud.errors import InvalidInputError

DECLARED = "declared"
OBSERVED = "observed"
LEASE = "lease"
COUNTERS = (DECLARED, LEASE, OBSERVED)


@dataclass(frozen=True, slots=True)
class Unit:
    """Who writes, why, and under which ticket."""

    actor: str
    reason: str
    ticket: str | None = None


class RecordedSession(Session):
    """A session that records what it writes to declared tables."""


def begin(session: Session, unit: Unit) -> None:
    """Make the session a unit of work; the caller commits."""
    if not unit.reason.strip():
        raise InvalidInputError("a declared write needs a reason: say why in one line")
    lock(session, DECLARED)
    session.info["unit"] = unit


def lock(session: Session, counter: str) -> int:
    """Lock a counter until the end of the transaction and return its value."""
    return session.scalars(select(Sequence.value).where(Sequence.name == counter).with_for_update()).one()


def advance(session: Session, counter: str, steps: int = 1) -> int:
    """Move a counter on; it stays locked until the end. Return the first of the new numbers."""
    value = lock(session, counter)
    session.execute(
        update(Sequence).where(Sequence.name == counter).values(value=value + steps),
        execution_options={"synchronize_session": False},
    )
    return value + 1


@event.listens_for(RecordedSession, "after_flush")
def _record(session: Session, _flush: UOWTransaction) -> None:
    rows = list(_changes(session))
    if not rows:
        return
    unit: Unit | None = session.info.get("unit")
    if unit is None:
        raise RuntimeError(
            f"declared rows are written with Store.write only: {rows[0]['kind']} {rows[0]['key']}"
        )
    first = advance(session, DECLARED, len(rows))
    moment = now()
    for number, row in enumerate(rows, first):
        row |= {
            "seq": number,
            "at": moment,
            "actor": unit.actor,
            "reason": unit.reason,
            "ticket": unit.ticket,
        }
    session.connection().execute(insert(ChangeLog), rows)


@event.listens_for(RecordedSession, "do_orm_execute")
def _refuse_bulk(state: ORMExecuteState) -> None:
    """Refuse statements that write declared rows past the log."""
    writes = state.is_insert or state.is_update or state.is_delete
    mapper = state.bind_mapper
    if writes and mapper is not None and issubclass(mapper.class_, Declared):
        raise RuntimeError(f"bulk writes of {mapper.class_.__name__} would not be logged: change rows")


def _changes(session: Session) -> Iterator[Document]:
    naming = Naming(session, _declared(session.new))
    for row in reversed(_declared(session.deleted)):
        yield _row(naming, row, "delete", naming.document(row), None)
    for row in _declared(session.new):
        yield _row(naming, row, "create", None, naming.document(row))
    for row in _declared(session.dirty):
        before, after = naming.document(row, _before(row)), naming.document(row)
        if before != after:
            yield _row(naming, row, "update", before, after)


def _declared(rows: Any) -> list[Base]:
    order = list(kinds())
    found = [row for row in rows if isinstance(row, Declared) and isinstance(row, Base)]
    return sorted(found, key=lambda row: (order.index(row.__tablename__), row.id))


def _row(naming: Naming, row: Base, action: str, before: Document | None, after: Document | None) -> Document:
    kind = kind_of(row).name
    return {"kind": kind, "key": naming.key(row), "action": action, "before": before, "after": after}


def _before(row: Base) -> Callable[[str], Any]:
    state = inspect(row)

    def read(column: str) -> Any:
        history = state.attrs[column].history
        return history.deleted[0] if history.deleted else getattr(row, column)

    return read
