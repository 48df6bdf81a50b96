"""How a writer of an SQLite file waits for its turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from drcloud.cmdb import engine


@pytest.fixture
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that writes to a file and has not ended."""
    holder = sqlite3.connect(tmp_path / "f.sqlite3", isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("CREATE TABLE t (n)")
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("INSERT INTO t VALUES (1)")
    yield holder
    holder.close()


class Waiting(sqlite3.Connection):
    """A connection with a clock of its own; ``others`` happens each time that it finds the file taken."""

    now = 0.0
    seconds = 0.0
    holder: sqlite3.Connection
    commits = 0

    def execute(self, statement: str, *rest: object) -> sqlite3.Cursor:
        """Let others get on before each look at what they did."""
        if statement == "PRAGMA data_version":
            self.now += self.seconds
            if self.commits:
                self.commits -= 1
                self.holder.execute("COMMIT")
                self.holder.execute("BEGIN IMMEDIATE")
                self.holder.execute("INSERT INTO t VALUES (1)")
        return super().execute(statement, *rest)


@pytest.fixture
def waiting(held: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Waiting]:
    """Give another connection to the file, which waits for ten seconds."""
    found = sqlite3.connect(tmp_path / "f.sqlite3", timeout=10, isolation_level=None, factory=Waiting)
    found.holder = held
    monkeypatch.setattr(engine.time, "monotonic", lambda: found.now)
    yield found
    found.close()


def test_nobody_gets_on(waiting: Waiting) -> None:
    waiting.seconds = 4
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        engine._take_turn(waiting)
    # The first look starts the clock; then 4, 8 and 12 seconds.
    assert waiting.now == 16
    assert waiting.execute("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_others_get_on(waiting: Waiting) -> None:
    """Seven commits of others, 28 seconds; then nobody for ten."""
    waiting.seconds, waiting.commits = 4, 7
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        engine._take_turn(waiting)
    assert waiting.now == 28 + 12


def test_its_turn_comes(waiting: Waiting, held: sqlite3.Connection) -> None:
    held.execute("COMMIT")
    engine._take_turn(waiting)
    assert waiting.in_transaction
    assert waiting.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
