"""What operational tables tell of declared rows, which then cannot go, as a host of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Table, func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import Base, Declared
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded
from drcloud.errors import InvalidInputError

# Rows that are asked about one by one; of more, all are counted.
FEW = 500


def refuse(session: Session, loaded: Loaded, changes: Iterable[Change], sentence: str) -> None:
    """Refuse to delete rows that operational tables need (``InvalidInputError``).

    ``sentence`` has the places ``{what}``, ``{count}`` and ``{table}``.
    """
    gone: dict[str, dict[int, str]] = defaultdict(dict)
    for one in changes:
        if one.action == "delete":
            row: Any = loaded.rows.get((one.kind, one.key))
            gone[one.kind][row.id if row is not None else loaded.ids[one.kind, one.key]] = one.key
    for table, column, kind in _memories():
        if not gone[kind]:
            continue
        counted = select(column, func.count()).group_by(column).order_by(column)
        if len(gone[kind]) <= FEW:
            counted = counted.where(column.in_(gone[kind]))
        for row_id, count in session.execute(counted):
            if row_id in gone[kind]:
                what = f"{kind.replace('_', ' ')} {gone[kind][row_id]}"
                raise InvalidInputError(sentence.format(what=what, count=_rows(count), table=table))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _memories() -> Iterator[tuple[str, Column[Any], str]]:
    """Yield the operational columns that keep a declared row from being deleted, with its kind."""
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        if issubclass(mapper.class_, Declared) or not isinstance(table, Table):
            continue
        for key in table.foreign_keys:
            if key.column.table.name in kinds() and key.ondelete != "CASCADE":
                yield table.name, key.parent, key.column.table.name
