"""Backups: from either engine to either, of old schemas, damaged ones, and what a restore promises."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import stat
import uuid
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import select, text

from drcloud.cmdb import (
    archive,
    backup,
    exporter,
    hosts,
    importer,
    leases,
    lookup,
    observations,
    restore,
    schema,
)
from drcloud.cmdb import state as states
from drcloud.cmdb.base import Base
from drcloud.cmdb.declared import ChangeTicket, Host, Idc
from drcloud.cmdb.operational import Evidence, EvidenceSeen, Outbox
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, InvalidInputError

LAB = Path(__file__).parents[3] / "inventories/lab/idc.yml"
ENGINES = ("sqlite", "postgresql")

Place = Callable[[str], str]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return the URL of a database that is not there yet (SQLite) or has nothing in it."""

    def new(engine: str) -> str:
        name = f"cmdb_{uuid.uuid4().hex}"
        if engine == "sqlite":
            return f"sqlite:///{tmp_path}/{name}.sqlite3"
        server: str = request.getfixturevalue("postgresql")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"{server}/{name}"

    return new


def filled(url: str) -> Store:
    """Return a CMDB in which every kind of value stands that a table can hold."""
    store = Store.create(url)
    importer.import_files(store, importer.Request((LAB,)))
    with store.write(reason="第一次", actor="张三", ticket="CHG-1") as session:
        host = lookup.host(session, "dk-01")
        hosts.transition(session, host, "provisioning")
        hosts.transition(session, host, "active")
        host.attrs = {"half": 0.5, "none": None, "说明": ["{{ x }}", {"deep": True}], "big": 2**40}
        # Reached through a host that comes later: no order of the rows alone would do.
        later = Host(name="later-01", role="bastion")
        session.add(later)
        session.flush()
        lookup.host(session, "bastion-01").ssh_via = later
        window = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
        session.add(
            ChangeTicket(
                ticket="CHG-1", state="closed", window_start=window, window_end=window + timedelta(1)
            )
        )
    observations.record_facts(store, "dk-01", {"内核": "6.1"})
    leases.acquire(store, [("a", True)], holder="run-1", purpose="x", ttl=timedelta(minutes=1))
    with store.operate() as session:
        evidence = Evidence(digest="0" * 64, body=bytes(range(256)))
        session.add_all([evidence, Outbox(subject="s", type="t", data={"x": None})])
        session.flush()
        session.add(EvidenceSeen(host_id=lookup.host(session, "dk-01").id, evidence_id=evidence.id))
    return store


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a backup of a filled CMDB on SQLite."""
    folder = tmp_path_factory.mktemp("taken")
    backup.write(filled(f"sqlite:///{folder}/cmdb.sqlite3"), folder / "b")
    return folder / "b"


@pytest.fixture
def path(taken: Path, tmp_path: Path) -> Path:
    """Return a backup to alter."""
    return shutil.copy(taken, tmp_path / "b")


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that is in a CMDB, but counters and leases."""
    tables = [table for table in Base.metadata.sorted_tables if table.name not in ("sequence", "lease")]
    with store.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(table.c.id))]
            for table in tables
        }


def counters(store: Store) -> dict[str, int]:
    with store.read() as session:
        found = session.execute(text("SELECT name, value FROM sequence")).all()
    return {row[0]: row[1] for row in found}


@pytest.mark.parametrize(("source", "target"), [ENGINES, ENGINES[::-1]])
def test_what_is_restored_is_what_was(place: Place, tmp_path: Path, source: str, target: str) -> None:
    store = filled(place(source))
    path = tmp_path / "backup.jsonl.gz"
    header = backup.write(store, path)
    assert (header.engine, header.declared_seq) == (source, store.declared_seq())
    there = Store.at(place(target), missing_ok=True)
    restore.into(there, path)
    assert rows(there) == rows(store)
    # PostgreSQL keeps the keys of free documents in an order of its own.
    assert yaml.safe_load(exporter.export(there)) == yaml.safe_load(exporter.export(store))
    # Nothing that others remember of numbers given out later is ever taken for what comes now.
    assert set(counters(there).values()) == {restore.STRIDE}
    with there.write(reason="goes on") as session:
        session.add(Idc(code="new"))
    assert there.declared_seq() == restore.STRIDE + 1
    with there.read() as session:
        assert session.scalars(select(Idc.id).where(Idc.code == "new")).one() == 2
        assert states.read(session)["idc"].keys() == {"lab", "new"}
    assert leases.acquire(there, [("a", True)], holder="run-2", purpose="x", ttl=timedelta(minutes=1))


@pytest.mark.parametrize("target", ENGINES)
def test_the_guards_are_there_after_a_restore(place: Place, path: Path, target: str) -> None:
    store = Store.at(place(target), missing_ok=True)
    restore.into(store, path)
    for statement, words in (
        ("DELETE FROM change_log", "append-only"),
        ("UPDATE host SET state = 'planned' WHERE name = 'dk-01'", "cannot move like this"),
        ("UPDATE host SET rack_id = 4711 WHERE name = 'dk-02'", r"FOREIGN KEY|fk_host_rack_id"),
    ):
        with pytest.raises(Exception, match=words), store.operate() as session:
            session.connection().execute(text(statement))


@pytest.mark.parametrize("target", ENGINES)
def test_a_cmdb_in_use_is_replaced_only_when_asked(place: Place, path: Path, target: str) -> None:
    store = Store.create(place(target))
    with store.write(reason="in use") as session:
        session.add(Idc(code="precious"))
    with store.operate() as session:
        session.execute(text("UPDATE sequence SET value = 4000000 WHERE name = 'lease'"))
    before = rows(store)
    with pytest.raises(InvalidInputError, match=r"is not empty: .* or say --replace"):
        restore.into(store, path)
    assert rows(store) == before
    restore.into(store, path, replace=True)
    with store.read() as session:
        assert set(states.read(session)["idc"]) == {"lab"}
    assert counters(store) == {"declared": 1000000, "observed": 1000000, "lease": 5000000}


def old(url: str) -> Store:
    """Return a CMDB of the first released schema, with a host and an address in it."""
    store = Store.at(url, missing_ok=True)
    with store.migrating() as connection:
        schema.migrate(connection, "0001")
        said = "'{}', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00'"
        known = "attrs, version, created_at, updated_at"
        for statement in (
            f"INSERT INTO host (id, uid, name, role, state, ssh_user, ssh_port, {known}) "
            f"VALUES (7, 'u-1', 'old-01', 'docker', 'active', 'ops', 22, {said})",
            f"INSERT INTO prefix (id, uid, cidr, first, last, purpose, {known}) "
            f"VALUES (3, 'u-2', '10.0.0.0/24', '4:0a000000', '4:0a0000ff', 'management', {said})",
            "INSERT INTO address (id, uid, address, value, host_id, "
            f"prefix_id, prefix_first, prefix_last, {known}) VALUES (5, 'u-3', '10.0.0.1', '4:0a000001', 7, "
            f"3, '4:0a000000', '4:0a0000ff', {said})",
            "UPDATE sequence SET value = 12 WHERE name = 'declared'",
        ):
            connection.execute(text(statement))
    return store


@pytest.mark.parametrize(("source", "target"), [ENGINES, ENGINES[::-1]])
def test_a_backup_of_an_older_schema_is_brought_up_to_date(
    place: Place, tmp_path: Path, source: str, target: str
) -> None:
    store = old(place(source))
    assert backup.write(store, tmp_path / "b").schema == "0001"
    store.upgrade()
    there = Store.create(place(target))
    restore.into(there, tmp_path / "b")
    assert rows(there) == rows(store)
    assert Store.open(there.url).declared_seq() == restore.STRIDE
    with there.read() as session:
        assert states.read(session)["address"]["10.0.0.1"]["purpose"] == "management"


def rewritten(path: Path, change: Callable[[list[Any]], None]) -> None:
    """Alter the lines of a backup and keep all else as a careful hand would."""
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    change(lines)
    path.unlink()
    with archive.created(path) as writer:
        for line in lines[:-1]:
            writer.write(line)


def newer(lines: list[Any]) -> None:
    lines[0]["schema"] = "9999"


def newer_form(lines: list[Any]) -> None:
    lines[0] |= {"drcloud_backup": 2, "program": "9.9"}


def other_table(lines: list[Any]) -> None:
    lines[0]["tables"]["pg_authid"] = lines[0]["tables"].pop("certificate")


def dangling(lines: list[Any]) -> None:
    """Let the racks refer to rooms that are not there."""
    tables = lines[0]["tables"]
    at = 1
    for name, (columns, count) in tables.items():
        if name == "rack":
            lines[at][columns.index("room_id")] = 4711
        at += count


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (newer, CmdbError, "has schema 9999, .* it was written by a newer drcloud"),
        (newer_form, CmdbError, "has a newer form: restore it with drcloud 9.9"),
        (other_table, InvalidInputError, "holds table pg_authid as schema 000. does not have it"),
        (dangling, Exception, "room"),
        (lambda lines: lines.pop(5), InvalidInputError, "was altered or damaged"),
        (lambda lines: lines.insert(5, lines[4]), InvalidInputError, "was altered or damaged"),
    ],
    ids=["newer schema", "newer form", "other table", "dangling", "row lost", "row twice"],
)
def test_what_cannot_be_restored_changes_nothing(
    place: Place, path: Path, change: Any, error: type[Exception], words: str
) -> None:
    rewritten(path, change)
    # Rows that refer to nothing are found late, when others are already dropped and written again.
    store = Store.create(place("postgresql" if change is dangling else "sqlite"))
    with store.write(reason="in use") as session:
        session.add(Idc(code="precious"))
    before = rows(store)
    with pytest.raises(error, match=words):
        restore.into(store, path, replace=True)
    assert rows(store) == before
    assert counters(store)["declared"] == 1
    fresh = Store.at(place("sqlite"), missing_ok=True)
    with pytest.raises(error, match=words):
        restore.into(fresh, path)
    assert fresh.file is not None
    assert not list(path.parent.glob(f"{fresh.file.name}*"))


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether both unpack to the same: bits that fill up the last byte of a deflate stream say nothing."""
    try:
        return gzip.decompress(one) == gzip.decompress(other)
    except (OSError, EOFError, zlib.error):
        return False


def test_a_bit_that_says_nothing_damages_nothing() -> None:
    """Why the test below may leave places out, and that these are few."""
    whole = gzip.compress(bytes(range(256)) * 40)
    flipped = (whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :] for at in range(10, len(whole)))
    assert sum(says_the_same(one, whole) for one in flipped) <= 1


def test_a_damaged_file_is_refused_wherever_it_is_damaged(place: Place, path: Path) -> None:
    whole = path.read_bytes()
    store = Store.at(place("sqlite"), missing_ok=True)
    step = len(whole) // 23
    for end in range(0, len(whole), step):
        path.write_bytes(whole[:end])
        with pytest.raises(InvalidInputError, match=r"is not complete|is no backup|was altered or damaged"):
            restore.into(store, path)
    for at in range(10, len(whole), step):
        damaged = whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :]
        if says_the_same(damaged, whole):
            continue
        path.write_bytes(damaged)
        with pytest.raises(InvalidInputError, match=r"is no backup|was altered or damaged|is not complete"):
            restore.into(store, path)
    for nonsense in (b"hello", gzip.compress(b"hello"), gzip.compress(b'{"a": 1}\n'), gzip.compress(b"[]\n")):
        path.write_bytes(nonsense)
        with pytest.raises(InvalidInputError, match=r"is no backup|was altered or damaged"):
            restore.into(store, path)
    assert store.file is not None
    assert not store.file.exists()


def test_a_backup_is_its_owners_and_whole_or_not_there(place: Place, tmp_path: Path) -> None:
    store = filled(place("sqlite"))
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "b"

    def stop(done: int, _total: int) -> None:
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup.write(store, path, stop)
    assert list(folder.iterdir()) == []
    backup.write(store, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InvalidInputError, match="is already there"):
        backup.write(store, path)
    with pytest.raises(CmdbError, match=r"cannot be written: No such file or directory; nothing is left"):
        backup.write(store, folder / "none" / "b")


def test_a_disk_that_takes_no_more_leaves_no_backup(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, limits[1]))
    try:
        with (
            pytest.raises(CmdbError, match="cannot be written: File too large; nothing is left of it"),
            archive.created(tmp_path / "b") as writer,
        ):
            for _ in range(1000):
                writer.write(os.urandom(1000).hex())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ENGINES)
def test_a_backup_is_one_state_while_others_write(place: Place, tmp_path: Path, source: str) -> None:
    store = filled(place(source))
    seq = store.declared_seq()

    def meanwhile(_done: int, _total: int) -> None:
        with Store.open(store.url).write(reason="meanwhile") as session:
            session.add(Idc(code=uuid.uuid4().hex))

    header = backup.write(store, tmp_path / "b", meanwhile)
    assert store.declared_seq() > seq + 5
    there = Store.at(place("sqlite"), missing_ok=True)
    restore.into(there, tmp_path / "b")
    with there.read() as session:
        assert set(states.read(session)["idc"]) == {"lab"}
        assert session.scalar(text("SELECT max(seq) FROM change_log")) == header.declared_seq == seq
