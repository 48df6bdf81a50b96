"""Restoring a backup: all of it in one transaction, at the backup's own schema, then brought up to date."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, func, insert, select, text, update

from drcloud.cmdb import archive, backup, schema
from drcloud.cmdb.archive import Header, Reader
from drcloud.cmdb.backup import BATCH, Progress
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

# After a restore counters go on with the next multiple of this: what other machines still know of
# lost changes (caches, cursors, fencing tokens) is then never taken for something newer.
STRIDE = 1_000_000

Row = dict[str, Any]


def into(
    store: Store,
    path: Path,
    *,
    replace: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Header:
    """Restore a backup into an empty CMDB, or with ``replace`` in the place of what is there.

    The whole file is checked before anything is written, and either all of it is restored or
    nothing. ``InvalidInputError`` for a damaged file and for a CMDB that is not empty.
    """
    with archive.opened(path) as file:
        for _ in Reader(file, path).rows():
            pass
        with _tidied(store), store.migrating() as connection:
            schema.take_turns(connection)
            counters = _clear(connection, store.label, replace=replace)
            reader = Reader(file, path)
            schema.migrate(connection, reader.header.schema)
            _load(connection, reader, path, progress)
            _go_on(connection, counters)
            schema.upgrade(connection, store.label)
    return reader.header


@contextmanager
def _tidied(store: Store) -> Iterator[None]:
    """Leave no empty file behind where there was none before."""
    fresh = store.file is not None and not store.file.exists()
    try:
        yield
    except BaseException:
        if fresh and store.file is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{store.file}{suffix}").unlink(missing_ok=True)
        raise


def is_empty(connection: Connection) -> bool:
    """Tell whether a database holds no CMDB, or one in which nothing was ever written."""
    return not any(
        connection.execute(select(table.c.id).limit(1)).first()
        for table in backup.reflect(connection)
        if table.name != "sequence"
    )


def _clear(connection: Connection, label: str, *, replace: bool) -> dict[str, int]:
    """Remove the tables of an empty CMDB, or of one to replace; return what its counters had reached."""
    found = schema.revision(connection)
    schema.refuse_newer(found, label)
    if not replace and not is_empty(connection):
        raise InvalidInputError(
            f"CMDB {label} is not empty: restore into an empty one, or say --replace to lose what is there"
        )
    if found is None:
        return {}
    counters = dict(_counters(connection))
    names = [table.name for table in reversed(backup.reflect(connection))]
    names = [*names, *backup.LEFT_OUT, schema.TABLE]
    functions = _functions(connection, names)
    for name in names:
        connection.execute(text(f"DROP TABLE {_quoted(connection, name)}{_cascade(connection)}"))
    for function in functions:
        connection.execute(text(f"DROP FUNCTION {function}"))
    return counters


def _functions(connection: Connection, tables: list[str]) -> list[str]:
    """Return PostgreSQL's functions behind the triggers of tables, which do not go with them."""
    if connection.dialect.name != "postgresql":
        return []
    query = (
        "SELECT DISTINCT trigger.tgfoid::regprocedure::text FROM pg_trigger AS trigger "
        "JOIN pg_class AS relation ON relation.oid = trigger.tgrelid "
        "WHERE NOT trigger.tgisinternal AND relation.relnamespace = current_schema()::regnamespace "
        "AND relation.relname = ANY(:tables)"
    )
    return list(connection.scalars(text(query), {"tables": tables}))


def _cascade(connection: Connection) -> str:
    return " CASCADE" if connection.dialect.name == "postgresql" else ""


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _load(connection: Connection, reader: Reader, path: Path, progress: Progress) -> None:
    tables = {table.name: table for table in backup.reflect(connection)}
    for name, (columns, _) in reader.header.tables.items():
        if name not in tables or not set(columns) <= set(tables[name].columns.keys()):
            raise InvalidInputError(
                f"{path} holds table {name} as schema {reader.header.schema} does not have it"
            )
    connection.execute(tables["sequence"].delete())
    done = 0
    with _unguarded(connection, list(tables)):
        for name, group in groupby(reader.rows(), key=lambda pair: pair[0]):
            present = [tables[name].columns[column] for column in reader.header.tables[name][0]]
            decoded = (_decoded(present, row) for _, row in group)
            for count in _insert(connection, tables[name], decoded):
                done += count
                progress(done, reader.header.rows)
    _set_numbering(connection, tables.values())


def _decoded(columns: list[Column[Any]], row: list[Any]) -> Row:
    return {column.name: _value(column, value) for column, value in zip(columns, row, strict=True)}


def _value(column: Column[Any], value: Any) -> Any:
    if isinstance(value, str):
        kind = column.type.python_type
        if issubclass(kind, datetime):
            return datetime.fromisoformat(value)
        if issubclass(kind, bytes):
            return base64.b64decode(value)
    return value


def _insert(connection: Connection, table: Table, rows: Iterator[Row]) -> Iterator[int]:
    """Insert rows in batches; what refers to rows of the same table is filled in when all are there."""
    own = [key.parent.name for key in table.foreign_keys if key.target_fullname.split(".")[0] == table.name]
    later: list[Row] = []
    while batch := list(islice(rows, BATCH)):
        for row in batch:
            if any(row[name] is not None for name in own):
                later.append({"_id": row["id"], **{name: row[name] for name in own}})
                row.update(dict.fromkeys(own))
        connection.execute(insert(table), batch)
        yield len(batch)
    if later:
        connection.execute(update(table).where(table.c.id == bindparam("_id")), later)


@contextmanager
def _unguarded(connection: Connection, tables: list[str]) -> Iterator[None]:
    """Suspend the triggers of tables: they watch over moves, and rows that come back do not move."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(text(query)).all()
        for name, _ in triggers:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield
        for _, sql in triggers:
            connection.exec_driver_sql(sql)
        return
    for verb in ("DISABLE", "ENABLE"):
        for name in tables:
            connection.execute(text(f"ALTER TABLE {_quoted(connection, name)} {verb} TRIGGER USER"))
        if verb == "DISABLE":
            yield


def _set_numbering(connection: Connection, tables: Iterable[Table]) -> None:
    """Let PostgreSQL number new rows after those that came with their numbers; SQLite does by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        last = connection.scalar(select(func.max(table.c.id)))
        if last is not None:
            counter = func.pg_get_serial_sequence(_quoted(connection, table.name), "id")
            connection.execute(select(func.setval(counter, last)))


def _go_on(connection: Connection, before: dict[str, int]) -> None:
    """Let every counter go on with the next multiple of ``STRIDE``, past all numbers given out."""
    for name, value in _counters(connection):
        reached = max(value, before.get(name, 0))
        connection.execute(
            text("UPDATE sequence SET value = :value WHERE name = :name"),
            {"name": name, "value": (reached // STRIDE + 1) * STRIDE},
        )


def _counters(connection: Connection) -> list[tuple[str, int]]:
    return [(name, value) for name, value in connection.execute(text("SELECT name, value FROM sequence"))]
