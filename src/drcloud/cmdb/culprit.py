"""Which object a refused write was about: rows are remembered before a flush, which forgets them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from drcloud.cmdb.base import Base, Declared
from drcloud.cmdb.engine import for_reading
from drcloud.cmdb.natural import Naming, kinds

_STATEMENT = re.compile(r"^(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)")
_STALE = re.compile(r"statement on table '(\w+)'")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a flush is about to write: new rows, and known ones as kind, id and version."""

    new: tuple[Base, ...]
    known: tuple[tuple[str, int, int], ...]


def remember(session: Session) -> Attempt:
    """Return the declared rows that the next flush will write."""
    new = tuple(row for row in session.new if isinstance(row, Declared) and isinstance(row, Base))
    return Attempt(new, tuple(_known(session)))


def _known(session: Session) -> list[tuple[str, int, int]]:
    found = []
    for row in (*session.dirty, *session.deleted):
        state = inspect(row)
        if isinstance(row, Declared) and isinstance(row, Base) and state.key:
            found.append((row.__tablename__, int(state.key[1][0]), int(state.dict.get("version", 0))))
    return found


def named(session: Session, attempt: Attempt, error: IntegrityError | StaleDataError) -> str | None:
    """Return the object as ``host dk-01``; None where it cannot be told from the error.

    The session's transaction is over: names are read in another one.
    """
    stale = isinstance(error, StaleDataError)
    match = _STALE.search(str(error)) if stale else _STATEMENT.match(getattr(error, "statement", None) or "")
    bind = session.get_bind()
    if match is None or match[1] not in kinds() or not isinstance(bind, Engine):
        return None
    table = match[1]
    with Session(for_reading(bind)) as reader:
        try:
            key = _key(reader, attempt, table, error)
        except NoResultFound:
            return None
    return f"{table.replace('_', ' ')} {key}" if key else None


def _key(reader: Session, attempt: Attempt, table: str, error: IntegrityError | StaleDataError) -> str | None:
    if isinstance(error, StaleDataError):
        return _stale(reader, attempt, table)
    values = _values(table, error.params)
    created = [row for row in attempt.new if row.__tablename__ == table and _is_written(row, values)]
    if created:
        return Naming(reader, attempt.new).key(created[0]) if len(created) == 1 else None
    wanted = values.get(f"{table}_id")
    known = any(kind == table and row_id == wanted for kind, row_id, _ in attempt.known)
    return Naming(reader).by_id(kinds()[table], int(str(wanted))) if known else None


def _stale(reader: Session, attempt: Attempt, table: str) -> str | None:
    """Return the first row whose version is another by now."""
    model: Any = kinds()[table].model
    for kind, row_id, version in attempt.known:
        if kind == table and reader.scalar(select(model.version).where(model.id == row_id)) != version:
            return Naming(reader).by_id(kinds()[table], row_id)
    return None


def _values(table: str, params: Any) -> dict[Any, Any]:
    """Return the parameters of a statement by name, or number; ``<table>_id`` is the row of an update."""
    if isinstance(params, dict):
        return params
    listed = list(params) if isinstance(params, (list, tuple)) else []
    # Without names the row's id and version come last, for they stand in the condition.
    return {**dict(enumerate(listed)), **({f"{table}_id": listed[-2]} if len(listed) > 1 else {})}


def _is_written(row: Base, values: Mapping[Any, Any]) -> bool:
    """Tell whether a statement's parameters hold what is set of a new row."""
    written = list(values.values())
    return all(value in written for value in inspect(row).dict.values() if isinstance(value, (str, int)))
