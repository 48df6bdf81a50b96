"""The file of a backup: gzip of JSON, one value a line.

First a header with the schema, and the tables with their columns and numbers of rows; then for every
table its rows as arrays; last the SHA-256 of all lines before.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from drcloud.cmdb import schema
from drcloud.errors import CmdbError, InvalidInputError

FORMAT = 1
SUFFIX = ".jsonl.gz"


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself; ``tables`` holds columns and number of rows by table, in order."""

    schema: str
    program: str
    engine: str
    at: str
    declared_seq: int
    tables: dict[str, tuple[list[str], int]]

    @property
    def rows(self) -> int:
        """The number of rows of all tables."""
        return sum(count for _, count in self.tables.values())


class Writer:
    """Writes values as lines, and their checksum at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0)
        self._digest = hashlib.sha256()

    def header(self, header: Header) -> None:
        """Begin."""
        self.write({"drcloud_backup": FORMAT, **asdict(header)})

    def write(self, value: Any) -> None:
        """Write a value as a line."""
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._digest.update(line)
        self._zip.write(line)

    def close(self) -> None:
        """Write the checksum; without it a backup counts as broken off."""
        self.write({"sha256": self._digest.hexdigest()})
        self._zip.close()


class Reader:
    """Reads a backup from its beginning, and checks it on the way.

    ``InvalidInputError`` for what is not as it was written, ``CmdbError`` for what a newer drcloud wrote.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        file.seek(0)
        self._path = path
        self._lines = gzip.GzipFile(fileobj=file)
        self._digest = hashlib.sha256()
        with _refused(path):
            self.header = self._header()

    def rows(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the table and the values of every row; when they end, the checksum was right."""
        with _refused(self._path):
            for name, (columns, count) in self.header.tables.items():
                for _ in range(count):
                    row = self._next()
                    if not isinstance(row, list) or len(row) != len(columns):
                        raise InvalidInputError(_altered(self._path))
                    yield name, row
            digest = self._digest.hexdigest()
            if self._next() != {"sha256": digest} or self._lines.read(1):
                raise InvalidInputError(_altered(self._path))

    def _next(self) -> Any:
        line = self._lines.readline()
        self._digest.update(line)
        return json.loads(line)

    def _header(self) -> Header:
        found = self._next()
        form = found.pop("drcloud_backup", None) if isinstance(found, dict) else None
        if form is None:
            raise InvalidInputError(f"{self._path} is no backup of a CMDB")
        if form != FORMAT:
            raise CmdbError(f"{self._path} has a newer form: restore it with drcloud {found.get('program')}")
        tables = {name: (list(columns), int(count)) for name, (columns, count) in found.pop("tables").items()}
        header = Header(**found, tables=tables)
        schema.refuse_newer(header.schema, str(self._path))
        return header


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except EOFError as error:
        raise InvalidInputError(f"{path} is not complete, its end is missing: take another backup") from error
    except gzip.BadGzipFile as error:
        raise InvalidInputError(f"{path} is no backup of a CMDB, or damaged: {error}") from error
    except (ValueError, TypeError, zlib.error) as error:
        raise InvalidInputError(_altered(path)) from error


def _altered(path: Path) -> str:
    return f"{path} is not as it was written, it was altered or damaged: take another backup"


@contextmanager
def created(path: Path) -> Iterator[Writer]:
    """Give the writer of a file that is its owner's only, and that is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            writer = Writer(file)
            yield writer
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        why = f"cannot be written: {error.strerror}; nothing is left of it"
        raise CmdbError(f"the backup {path} {why}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a backup for reading."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InvalidInputError(f"there is no file {path}") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from error
