"""The log on both engines: append-only whatever is tried, and a follower of its numbers misses nothing."""

from __future__ import annotations

import multiprocessing
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, select, text

from drcloud.cmdb import importer
from drcloud.cmdb.base import Base, Declared
from drcloud.cmdb.declared import Idc
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store

WRITERS = 6
UNITS = 12
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def logged(cmdb_url: str) -> Store:
    store = Store.open(cmdb_url)
    with store.write(reason="x") as session:
        session.add(Idc(code="a"))
    return store


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_log SET actor = 'somebody else'",
        "UPDATE change_log SET after = NULL WHERE seq = 1",
        "DELETE FROM change_log",
        "DELETE FROM change_log WHERE seq = 1",
        "INSERT INTO change_log SELECT * FROM change_log",
        "TRUNCATE change_log",
        "TRUNCATE change_log CASCADE",
    ],
)
def test_raw_sql_cannot_rewrite_the_log(logged: Store, statement: str) -> None:
    url = make_url(logged.url)
    if statement.startswith("TRUNCATE") and url.get_backend_name() == "sqlite":
        # SQLite has no TRUNCATE; its DELETE without a condition skips rows, but not where triggers are.
        statement = "DELETE FROM change_log WHERE true"
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    raw = create_engine(url, poolclass=NullPool)
    before = _everything(raw)
    with pytest.raises(Exception, match=r"append-only|UNIQUE|unique"), raw.begin() as connection:
        connection.execute(text(statement))
    assert _everything(raw) == before


def _everything(raw: Engine) -> list[Any]:
    with raw.connect() as connection:
        return list(connection.execute(text("SELECT * FROM change_log ORDER BY seq")))


def test_no_reference_writes_declared_rows_on_its_own() -> None:
    """What the database deletes or empties by itself, the log does not see."""
    for mapper in Base.registry.mappers:
        if issubclass(mapper.class_, Declared):
            for key in mapper.local_table.foreign_keys:
                assert key.ondelete is None, f"{key.parent}"


def _write(number: int, url: str, start: multiprocessing.synchronize.Barrier) -> None:
    store, chance = Store.open(url), random.Random(number)
    start.wait()
    for turn in range(UNITS):
        # Some units fail at their end: numbers that were taken and given back.
        with suppress(ZeroDivisionError), store.write(reason="concurrent", actor=str(number)) as session:
            for part in range(chance.randint(1, 3)):
                session.add(Idc(code=f"w{number}-{turn}-{part}"))
                session.flush()
            _ = 1 / chance.choice([0, 1, 1, 1])


def test_a_follower_of_the_numbers_misses_nothing(cmdb_url: str) -> None:
    start = FORK.Barrier(WRITERS + 1)
    processes = [FORK.Process(target=_write, args=(number, cmdb_url, start)) for number in range(WRITERS)]
    for process in processes:
        process.start()
    store, followed, polls = Store.open(cmdb_url), [(0, "")], 0
    start.wait()
    while True:
        running = any(process.is_alive() for process in processes)
        with store.read() as session:
            newer = select(ChangeLog.seq, ChangeLog.key).where(ChangeLog.seq > followed[-1][0])
            rows = session.execute(newer.order_by(ChangeLog.seq)).all()
        polls += bool(rows)
        followed += [(seq, key) for seq, key in rows]
        if not running:
            break
    assert [process.exitcode for process in processes] == [0] * WRITERS
    with store.read() as session:
        complete = session.execute(select(ChangeLog.seq, ChangeLog.key).order_by(ChangeLog.seq)).all()
        present = set(session.scalars(select(Idc.code)))
    assert followed[1:] == [(seq, key) for seq, key in complete]
    assert [seq for seq, _ in complete] == list(range(1, len(complete) + 1))
    assert {key for _, key in complete} == present
    assert polls > 1, "the follower saw everything at once: nothing was tested"


def test_units_of_one_process_do_not_mix_in_the_log(cmdb_url: str, tmp_path: Path) -> None:
    """An import of many rows takes its numbers in one piece, though others write meanwhile."""
    path = tmp_path / "idc.yml"
    codes = "".join(f"  - {{code: i{number}}}\n" for number in range(200))
    path.write_text(f"drcloud: 1\nidcs:\n{codes}")
    start = FORK.Barrier(2)
    process = FORK.Process(target=_write, args=(1, cmdb_url, start))
    process.start()
    store = Store.open(cmdb_url)
    start.wait()
    importer.import_files(store, importer.Request((path,)))
    process.join(60)
    assert process.exitcode == 0
    with store.read() as session:
        numbers = session.scalars(select(ChangeLog.seq).where(ChangeLog.reason == "import of idc.yml")).all()
    assert len(numbers) == 200
    assert max(numbers) - min(numbers) == 199
