"""A backup: the whole of a CMDB as one file (``drcloud.cmdb.archive``) that either engine takes back.

Rows keep their ids. Leases stay out, for their holders are not there after a restore.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, event, func, inspect, select

from drcloud import __version__
from drcloud.cmdb import archive, operational, schema
from drcloud.cmdb.archive import Header
from drcloud.cmdb.base import Base, now
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, InvalidInputError

LEFT_OUT = frozenset({operational.Lease.__tablename__})
BATCH = 1000

Progress = Callable[[int, int], None]


def default_name(what: str = "cmdb") -> str:
    """Return a name for a backup made now."""
    return f"{what}-{now():%Y%m%dT%H%M%SZ}{archive.SUFFIX}"


def write(store: Store, path: Path, progress: Progress = lambda _done, _total: None) -> Header:
    """Back a CMDB of any known schema up into a new file, as one state of it, while others go on writing.

    ``CmdbError`` when the file cannot be written; then there is none. ``InvalidInputError`` when
    there already is one.
    """
    if path.exists():
        raise InvalidInputError(f"{path} is already there: name another file for the backup")
    with store.read() as session, archive.created(path) as file:
        connection = session.connection()
        tables = reflect(connection)
        header = _header(connection, tables, store.label)
        file.header(header)
        done = 0
        for table in tables:
            rows = select(table).order_by(table.c.id).execution_options(yield_per=BATCH)
            for batch in connection.execute(rows).partitions():
                for row in batch:
                    file.write([_encoded(value) for value in row])
                done += len(batch)
                progress(done, header.rows)
    return header


def reflect(connection: Connection) -> list[Table]:
    """Return the tables of a CMDB as they are in it, whatever its schema; what is referred to comes first."""
    there = set(inspect(connection).get_table_names())
    metadata = MetaData()
    event.listen(metadata, "column_reflect", _null_is_null)
    wanted = [table.name for table in Base.metadata.sorted_tables if table.name in there - LEFT_OUT]
    metadata.reflect(connection, only=wanted, resolve_fks=False)
    return [metadata.tables[name] for name in wanted]


def _null_is_null(_inspector: Any, _table: Table, column: Any) -> None:
    if isinstance(column["type"], JSON):
        column["type"].none_as_null = True


def _header(connection: Connection, tables: list[Table], label: str) -> Header:
    found = schema.revision(connection)
    if found is None:
        raise CmdbError(f"there is no CMDB in {label} yet: run `drcloud init`")
    schema.refuse_newer(found, label)
    [counter] = [table for table in tables if table.name == "sequence"]
    seq = connection.scalar(select(counter.c.value).where(counter.c.name == "declared")) or 0
    shapes = {}
    for table in tables:
        count = connection.scalar(select(func.count()).select_from(table)) or 0
        shapes[table.name] = ([column.name for column in table.columns], count)
    at = now().isoformat(timespec="seconds")
    return Header(found, __version__, connection.dialect.name, at, seq, shapes)


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        # SQLite forgets the zone of what is always UTC.
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
