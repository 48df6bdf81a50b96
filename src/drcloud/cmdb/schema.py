"""The schema's revision: is a CMDB older or newer than this program, and bring it up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from drcloud import __version__
from drcloud.errors import CmdbError

MIGRATIONS = Path(__file__).parent / "migrations"
TABLE = "alembic_version"
# Any number, the same for everybody: two that migrate at once take turns.
UPGRADE_LOCK = 4_221_900_417


def revisions() -> tuple[str, ...]:
    """Return the revisions this program knows, oldest first: ``versions/v<revision>_<what>.py``."""
    return tuple(sorted(path.name[1:].split("_")[0] for path in (MIGRATIONS / "versions").glob("v*.py")))


def revision(connection: Connection) -> str | None:
    """Return the revision of a CMDB; None when it is empty."""
    if not inspect(connection).has_table(TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608  (a constant)


def check(connection: Connection, label: str) -> None:
    """Refuse a CMDB that is not of this program's schema, saying what to do."""
    found = revision(connection)
    if found is None:
        raise CmdbError(f"there is no CMDB in {label} yet: run `drcloud init`")
    refuse_newer(found, label)
    if found != revisions()[-1]:
        raise CmdbError(
            f"CMDB {label} has schema {found}, drcloud {__version__} needs {revisions()[-1]}: "
            "run `drcloud cmdb upgrade`"
        )


def refuse_newer(found: str | None, label: str) -> None:
    """Refuse a CMDB that a newer program wrote."""
    if found is not None and found not in revisions():
        raise CmdbError(
            f"CMDB {label} has schema {found}, drcloud {__version__} knows up to {revisions()[-1]}: "
            "it was written by a newer drcloud; install that version here"
        )


def upgrade(connection: Connection, label: str) -> tuple[str | None, str]:
    """Migrate to this program's schema, inside the connection's transaction; return from and to."""
    take_turns(connection)
    found = revision(connection)
    refuse_newer(found, label)
    migrate(connection, "head")
    _require_whole(connection, label)
    return found, revisions()[-1]


def take_turns(connection: Connection) -> None:
    """Wait until nobody else migrates; the turn ends with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})


def migrate(connection: Connection, to: str) -> None:
    """Migrate up to a revision, inside the connection's transaction."""
    # Imported here: opening a CMDB must not pay for what only init and upgrade need.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, to)


def _require_whole(connection: Connection, label: str) -> None:
    """Refuse to finish when an SQLite row refers to a row that is not there: keys were off meanwhile."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise CmdbError(
            f"CMDB {label} was not upgraded: row {broken[1]} of table {broken[0]} refers to a row of "
            f"{broken[2]} that does not exist; restore the CMDB from a backup"
        )
