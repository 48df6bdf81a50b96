"""The store: the one way to the CMDB's tables.

``read`` gives one consistent view, ``write`` a unit of work on declared rows, ``operate``
writes operational rows. All commit at the end of the block or leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.orm import Session

from drcloud.cmdb import actor as actors
from drcloud.cmdb import changelog, engine, schema
from drcloud.cmdb.operational import Sequence
from drcloud.cmdb.trouble import label, translated
from drcloud.errors import CmdbError, CmdbUnreachableError


class Store:
    """A CMDB, open; cheap to make and safe to carry over a fork."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = engine.build(url)
        self._reader = engine.for_reading(self._engine)
        self._writer = engine.for_writing(self._engine)

    @classmethod
    def open(cls, url: str | None = None) -> Store:
        """Open a CMDB of this program's schema; ``CmdbError`` says what is in the way."""
        location = engine.locate(url)
        _require_file(location)
        store = cls(location)
        with translated(location), store._reader.connect() as connection:
            schema.check(connection, store.label)
        return store

    @classmethod
    def create(cls, url: str | None = None) -> Store:
        """Create a CMDB, or bring it to this program's schema; a second time changes nothing."""
        location = engine.locate(url)
        _make_directory(location)
        store = cls(location)
        store.upgrade()
        return store

    @classmethod
    def at(cls, url: str | None = None, *, missing_ok: bool = False) -> Store:
        """Return a CMDB of any schema, for ``upgrade`` and backups; or a place for one that is to come."""
        location = engine.locate(url)
        if missing_ok:
            _make_directory(location)
        else:
            _require_file(location)
        return cls(location)

    @property
    def file(self) -> Path | None:
        """The file of a CMDB on SQLite."""
        return Path(str(self._url.database)) if self._url.get_backend_name() == "sqlite" else None

    def revision(self) -> str | None:
        """Return the schema's revision; None where there is no CMDB yet."""
        with self.read() as session:
            return schema.revision(session.connection())

    @property
    def label(self) -> str:
        """How the CMDB is named in messages."""
        return label(self._url)

    @property
    def url(self) -> str:
        """The CMDB's URL, the password included: for a child process, never for a message."""
        return self._url.render_as_string(hide_password=False)

    def upgrade(self) -> tuple[str | None, str]:
        """Migrate to this program's schema; return the revisions before and after."""
        with self.migrating() as connection:
            return schema.upgrade(connection, self.label)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection that may change tables; what it did is committed at the end of the block."""
        with translated(self._url):
            _prefer_wal(self._writer)
            with engine.for_migrating(self._engine).begin() as connection:
                yield connection

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one state of the CMDB and cannot write."""
        with translated(self._url), changelog.RecordedSession(self._reader, autoflush=False) as session:
            yield session

    @contextmanager
    def write(
        self, *, reason: str, actor: str | None = None, ticket: str | None = None, fact: bool = False
    ) -> Iterator[Session]:
        """Give a unit of work on declared rows; it is logged, and committed at the end of the block.

        ``fact`` is for what nobody decided, as that a host was lost: no change has to be open for it.
        """
        unit = changelog.Unit(actor or actors.current(), reason, ticket, fact)
        with self.operate() as session:
            changelog.begin(session, unit)
            yield session

    @contextmanager
    def operate(self) -> Iterator[Session]:
        """Give a session for operational rows, committed at the end of the block."""
        with (
            translated(self._url),
            changelog.RecordedSession(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def declared_seq(self) -> int:
        """Return the number of the last change of declared rows."""
        return self._counter(changelog.DECLARED)

    def observed_seq(self) -> int:
        """Return the number of the last change of observed state."""
        return self._counter(changelog.OBSERVED)

    def _counter(self, name: str) -> int:
        with self.read() as session:
            return session.scalars(select(Sequence.value).where(Sequence.name == name)).one()


def _require_file(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        raise CmdbUnreachableError(f"there is no CMDB in {label(url)} yet: run `drcloud init`")


def _make_directory(url: URL) -> None:
    if url.get_backend_name() != "sqlite":
        return
    directory = Path(str(url.database)).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CmdbError(f"cannot make the directory {directory} for the CMDB: {error.strerror}") from error


def _prefer_wal(writer: Engine) -> None:
    """Let readers of an SQLite file go on while one writes; the setting stays in the file."""
    if writer.dialect.name == "sqlite":
        connection = writer.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
