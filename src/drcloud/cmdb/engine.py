"""Connections: where the CMDB is, and how transactions begin on SQLite and PostgreSQL.

Connections are opened per transaction and never pooled: the store is used by processes that
fork (Ansible's workers), and a connection must not cross a fork.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from drcloud.errors import CmdbError, InvalidInputError

# How long a writer waits while nobody else gets on; as long as others commit, it waits for its turn.
LOCK_SECONDS = 30
POLL_MILLISECONDS = 20
CONNECT_SECONDS = 10
MODE = "drcloud_mode"
READ, WRITE, MIGRATE = "read", "write", "migrate"


def default_url() -> str:
    """Return the URL of a user who says nothing: a file in the user's data directory."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return f"sqlite:///{home}/drcloud/cmdb.sqlite3"


def locate(url: str | None) -> URL:
    """Return the URL that was given, of ``DRCLOUD_CMDB_URL``, or the default."""
    text = url or os.environ.get("DRCLOUD_CMDB_URL") or default_url()
    try:
        parsed = make_url(text)
    except ArgumentError:
        raise InvalidInputError(_unusable(text)) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        if importlib.util.find_spec("psycopg") is None:
            raise CmdbError("a CMDB on PostgreSQL needs psycopg: pip install 'drcloud[postgresql]'")
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise InvalidInputError(_unusable(parsed.render_as_string(hide_password=True)))
    return parsed


def _unusable(text: str) -> str:
    return f"CMDB URL {text!r} is not usable: write sqlite:///PATH or postgresql://USER@HOST/DATABASE"


def build(url: URL) -> Engine:
    """Return the engine of a CMDB."""
    if url.get_backend_name() == "postgresql":
        waits = {"connect_timeout": CONNECT_SECONDS, "options": f"-c lock_timeout={LOCK_SECONDS}s"}
        return create_engine(url, poolclass=NullPool, connect_args=waits)
    waits = {} if "timeout" in url.query else {"timeout": LOCK_SECONDS}
    engine = create_engine(url, poolclass=NullPool, connect_args=waits)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def for_reading(engine: Engine) -> Engine:
    """Return the engine for transactions that see one state of the CMDB and cannot write."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(**{MODE: READ})


def for_writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write."""
    return engine.execution_options(**{MODE: WRITE})


def for_migrating(engine: Engine) -> Engine:
    """Return the engine for migrations.

    SQLite changes a table by copying it, which foreign keys would take for a deletion; they can
    only be switched off before a transaction (https://www.sqlite.org/lang_altertable.html#otheralter).
    """
    return engine.execution_options(**{MODE: MIGRATE})


def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own idea of when a transaction begins would leave reads and DDL outside of it.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _on_begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get(MODE)
    writes = mode in (WRITE, MIGRATE)
    if mode == MIGRATE:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    if not writes:
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    else:
        _take_turn(connection.connection.driver_connection)


def _take_turn(connection: Any) -> None:
    """Begin a transaction that writes, as soon as the one that does so now has ended.

    SQLite alone would look more and more rarely, so that the last to come is the first to write, and would
    give up at the end of its timeout however well the others get on
    (https://www.sqlite.org/c3ref/busy_timeout.html).
    """
    [patience] = connection.execute("PRAGMA busy_timeout").fetchone()
    commits, since = None, time.monotonic()
    while refusal := _refused(connection, patience):
        # It changes with every commit of others, https://www.sqlite.org/pragma.html#pragma_data_version.
        [seen] = connection.execute("PRAGMA data_version").fetchone()
        if seen != commits:
            commits, since = seen, time.monotonic()
        elif time.monotonic() - since >= patience / 1000:
            raise refusal


def _refused(connection: Any, patience: int) -> sqlite3.OperationalError | None:
    """Try to begin for a moment; return the error when somebody else writes.

    The write lock is taken at once: to ask for it after a read would fail instead of wait.
    """
    connection.execute(f"PRAGMA busy_timeout = {min(POLL_MILLISECONDS, patience)}")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return error
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}")
    return None
