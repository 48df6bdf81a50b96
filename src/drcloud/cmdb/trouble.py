"""Database errors in an operator's words: one sentence that names the CMDB and the way out."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from drcloud.cmdb import rules
from drcloud.errors import CmdbError, CmdbUnreachableError, DrcloudError, InvalidInputError, LockedError

# SQLite's result codes, https://www.sqlite.org/rescode.html; extended codes begin with the primary one.
SQLITE = {
    "SQLITE_BUSY": "is locked by another process; try again, or look for one that hangs",
    "SQLITE_LOCKED": "is locked by another process; try again, or look for one that hangs",
    "SQLITE_CORRUPT": "is corrupt; restore it from a backup",
    "SQLITE_NOTADB": "is not an SQLite database; check DRCLOUD_CMDB_URL",
    "SQLITE_FULL": "cannot grow, the disk is full; nothing was written; make room and try again",
    "SQLITE_CANTOPEN": "cannot be opened; check that it is a file and that its directory is writable",
    "SQLITE_READONLY": "is not writable; check the permissions of the file and its directory",
    "SQLITE_PERM": "is not accessible; check the permissions of the file and its directory",
    "SQLITE_IOERR": "cannot be read or written, the disk reports an error; check the file system",
}
# Bytes; the index of SQLite's write-ahead log grows by as much, https://www.sqlite.org/walformat.html.
ROOM = 32 * 1024
# PostgreSQL's codes, https://www.postgresql.org/docs/current/errcodes-appendix.html; longest match wins.
POSTGRESQL = {
    "08": "cannot be reached; check that the server runs and that DRCLOUD_CMDB_URL is right",
    "25006": "is not writable, its server or user is set to read only; name another in DRCLOUD_CMDB_URL",
    "28": "refuses the user or the password; check DRCLOUD_CMDB_URL",
    "3D": "does not exist on the server; create the database, then run `drcloud init`",
    "40": "was busy with a conflicting write; nothing was written; try again",
    "42501": "denies this user that, as to write; grant it the rights on the database",
    "42P01": "lacks a table; run `drcloud init`, or restore it from a backup",
    "53100": "cannot grow, the server's disk is full; nothing was written; make room and try again",
    "53300": "has no connection left; try again, or raise max_connections",
    "55P03": "is locked by another process; try again, or look for one that hangs",
    "57": "is shutting down or starting; try again",
    "58": "cannot be read or written, the server reports a system error; see its log",
    "XX": "is corrupt; see the server's log, and restore it from a backup",
}


# The CMDB did not answer; every other trouble is one of a CMDB that did.
UNREACHABLE = (SQLITE["SQLITE_CANTOPEN"], POSTGRESQL["08"], POSTGRESQL["57"])


def label(url: URL) -> str:
    """Return how a CMDB is named in messages: its file, or its address without the password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return str(Path(url.database))
    return url.render_as_string(hide_password=True)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn what a database raises into errors with an exit code; bugs pass through."""
    try:
        yield
    except StaleDataError as error:
        name = next(iter(getattr(error, "__notes__", ())), "the same object")
        raise LockedError(f"somebody else changed {name} meanwhile: read it again, then write") from error
    except IntegrityError as error:
        raise InvalidInputError(rules.sentence(error)) from error
    except DataError as error:
        raise InvalidInputError(f"the CMDB refuses a value: {_first_line(error.orig)}") from error
    except ValueError as error:
        if url.get_backend_name() == "sqlite" and _is_unreadable(error):
            raise CmdbError(f"CMDB {label(url)} {SQLITE['SQLITE_CORRUPT']} ({_first_line(error)})") from error
        raise
    except (DBAPIError, sqlite3.Error) as error:
        if translation := _translation(error, url):
            raise translation from error
        raise


def _is_unreadable(error: ValueError) -> bool:
    """Tell whether a stored value is none of its type (text, time, document), as in a damaged file."""
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    through_the_driver = any(name.startswith("sqlalchemy.engine") for name in frames)
    return through_the_driver and not frames[-1].startswith("drcloud.")


def _translation(error: DBAPIError | sqlite3.Error, url: URL) -> DrcloudError | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        what = _sqlite(cause, url)
    else:
        code = getattr(cause, "sqlstate", None)
        what = _postgresql(code or _guess(str(cause)))
    if what is None:
        return None
    kind = CmdbUnreachableError if what in UNREACHABLE else CmdbError
    return kind(f"CMDB {label(url)} {what} ({_first_line(cause)})")


def _sqlite(cause: sqlite3.Error, url: URL) -> str | None:
    # Without a code the driver itself complains: a text that is not UTF-8 comes from a damaged file.
    name = getattr(cause, "sqlite_errorname", None) or ("SQLITE_CORRUPT" if "decode" in str(cause) else "")
    if name == "SQLITE_ERROR" and "no such table" in str(cause):
        return "lacks a table; run `drcloud init`, or restore it from a backup"
    if name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _is_full(url):
        # The files beside the CMDB's own cannot be made then, which has another name.
        name = "SQLITE_FULL"
    return next((what for code, what in SQLITE.items() if name.startswith(code)), None)


def _is_full(url: URL) -> bool:
    """Tell whether the disk of a file has no room for what SQLite keeps beside it."""
    try:
        return shutil.disk_usage(Path(str(url.database)).parent).free < ROOM
    except OSError:
        return False


def _postgresql(code: str) -> str | None:
    matches = sorted((known for known in POSTGRESQL if code.startswith(known)), key=len)
    return POSTGRESQL[matches[-1]] if matches else None


def _guess(message: str) -> str:
    """Return the code of a failed connection, for which the driver gives none."""
    if "password authentication failed" in message or "role" in message:
        return "28"
    if "database" in message and "does not exist" in message:
        return "3D"
    return "08"


def _first_line(cause: BaseException | None) -> str:
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
