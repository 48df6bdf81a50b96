"""Killed processes, a killed server, locked and damaged files, full disks: nothing is half-written."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from drcloud.cmdb import addresses, engine, importer, ipam, networks, snapshot, subnets
from drcloud.cmdb import state as states
from drcloud.cmdb.declared import Allocation, Host, Idc, Prefix
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError
from drcloud.exitcodes import ExitCode

ROUNDS = 4
WORKERS = 3
Check = Callable[[Store], int]


def hosts_file(path: Path, prefix: str, net: str, count: int) -> Path:
    lines = ["drcloud: 1", f"prefixes: [{{cidr: {net}.0/24}}]", "hosts:"]
    disks = "[{path: /dev/sdb, purpose: raw}]"
    lines += [
        f"  - {{name: {prefix}-{n}, role: docker, address: {net}.{n}, block_devices: {disks}}}"
        for n in range(1, count + 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def _import(store: Store, name: str, directory: Path, chance: random.Random) -> None:
    number = int(name.partition("-")[0])
    net = f"10.{number // 250 + 1}.{number % 250}"
    # The same hosts again and again, more or fewer of them, so that it creates, changes and deletes.
    path = hosts_file(directory / name, f"h{number}", net, chance.randint(1, 15))
    importer.import_files(store, importer.Request((path,)))
    with store.write(reason="away with one") as session:
        session.delete(session.scalars(select(Host).where(Host.name == f"h{number}-1")).one())


def _allocate(store: Store, name: str) -> None:
    with store.write(reason="allocate") as session:
        ports = [ipam.Claim(ipam.port_pool(host), f"{name}/prod/a") for host in ("dk-01", "dk-02")]
        ipam.allocate_all(session, ports, ipam.PORTS)
        addresses.allocate(session, networks.find(session, "10.0.0.0/24"), name, purpose="x")
        subnets.allocate(session, networks.find(session, "10.64.0.0/16"), [name])


def _work(number: int, url: str, directory: Path) -> None:
    """Import and allocate until killed; note what was done after it was done."""
    store, chance = Store.open(url), random.Random(number)
    for turn in itertools.count():
        name = f"{number}-{turn}"
        if chance.random() < 0.5:
            _import(store, name, directory, chance)
        else:
            _allocate(store, name)
            with (directory / "done").open("a") as file:
                file.write(f"{name}\n")


@pytest.fixture
def nets(cmdb_url: str) -> Store:
    store = Store.open(cmdb_url)
    with store.write(reason="nets") as session:
        session.add_all([Prefix(cidr="10.64.0.0/16", aggregate=True), Prefix(cidr="10.0.0.0/24")])
    return store


def test_kill_at_random(nets: Store, crowd: Any, tmp_path: Path, require_consistent: Check) -> None:
    chance, done = random.Random(42), tmp_path / "done"
    done.touch()
    for turn in range(ROUNDS):
        before = nets.declared_seq()
        workers = crowd.start(WORKERS, _work, nets.url, tmp_path)
        while nets.declared_seq() == before:
            assert all(worker.is_alive() for worker in workers)
            time.sleep(0.02)
        for victim in chance.sample(workers, WORKERS):
            time.sleep(chance.uniform(0, 0.08))
            assert victim.is_alive()
            victim.kill()
            victim.join()
        require_consistent(nets)
        # Whoever comes next is not hindered by what the dead left.
        _allocate(nets, f"after-{turn}")
    last = require_consistent(nets)
    assert last > ROUNDS
    with nets.read() as session:
        owners = set(
            session.scalars(select(Allocation.owner).where(Allocation.pool == "addresses:10.0.0.0/24"))
        )
    assert owners >= set(done.read_text().split())


def test_the_server_is_killed_in_the_middle_of_a_unit(postgresql: str, require_consistent: Check) -> None:
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE killed")
    store = Store.create(f"{postgresql}/killed")
    with store.write(reason="kept") as session:
        session.add(Idc(code="kept"))
    with pytest.raises(CmdbError, match="cannot be reached") as caught, store.write(reason="lost") as session:
        session.add(Idc(code="lost"))
        session.flush()
        # One server process that dies of SIGKILL takes all others with it; the server recovers.
        os.kill(session.scalars(text("SELECT pg_backend_pid()")).one(), signal.SIGKILL)
        session.add(Idc(code="more"))
        session.flush()
    assert caught.value.exit_code is ExitCode.CMDB
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(CmdbError):
            assert require_consistent(store) == 1
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with store.write(reason="goes on") as session:
        session.add(Idc(code="more"))
    assert require_consistent(store) == 2


def _hold(_number: int, url: str, sign: Path) -> None:
    with Store.open(url).write(reason="a long one") as session:
        session.add(Idc(code="held"))
        session.flush()
        sign.touch()
        time.sleep(120)


def test_somebody_else_writes_for_too_long(
    cmdb_url: str, crowd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "held"
    crowd.start(1, _hold, cmdb_url, sign)
    while not sign.exists():
        time.sleep(0.02)
    monkeypatch.setattr(engine, "LOCK_SECONDS", 1)
    store = Store.open(cmdb_url)
    with (
        pytest.raises(CmdbError, match="is locked by another process; try again") as caught,
        store.write(reason="waits"),
    ):
        pass
    assert caught.value.exit_code is ExitCode.CMDB
    assert "\n" not in str(caught.value)
    # Readers are not kept waiting.
    assert store.declared_seq() == 0


def _one_unit(number: int, url: str) -> None:
    with Store.open(url).write(reason="one of many") as session:
        session.add(Idc(code=f"q{number}"))
        session.flush()
        time.sleep(0.65)


def test_a_long_queue_is_waited_for(crowd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes last waits longer than a writer that hangs is waited for: all others got on meanwhile."""
    url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
    Store.create(url)
    monkeypatch.setattr(engine, "LOCK_SECONDS", 6)
    crowd.succeed(12, _one_unit, url)
    assert Store.open(url).declared_seq() == 12


def drcloud(url: str, *words: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it says of its failure."""
    command = [sys.executable, "-m", "drcloud", *words]
    environment = {**os.environ, "DRCLOUD_CMDB_URL": url}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.strip()


def test_what_the_command_says(crowd: Any, tmp_path: Path) -> None:
    url, sign = f"sqlite:///{tmp_path}/cmdb.sqlite3", tmp_path / "held"
    Store.create(url)
    crowd.start(1, _hold, url, sign)
    while not sign.exists():
        time.sleep(0.02)
    file = hosts_file(tmp_path / "hosts.yml", "h", "10.1.1", 1)
    code, message = drcloud(f"{url}?timeout=0.1", "cmdb", "import", str(file))
    assert (code, message.count("\n")) == (20, 0)
    assert "cmdb.sqlite3 is locked by another process; try again, or look for one that hangs" in message
    (tmp_path / "text").write_text("no database " * 1000)
    code, message = drcloud(f"sqlite:///{tmp_path}/text", "cmdb", "show")
    assert (code, message.count("\n")) == (20, 0)
    assert "is not an SQLite database; check DRCLOUD_CMDB_URL" in message


def damaged(path: Path, seed: int) -> None:
    """Overwrite a few pages or bytes, or cut the end off."""
    chance = random.Random(seed)
    size = path.stat().st_size
    with path.open("r+b") as file:
        if seed % 4 == 0:
            file.truncate(chance.randrange(100, size))
        for _ in range(chance.randint(1, 20)):
            file.seek(chance.randrange(100, size))
            file.write(chance.randbytes(chance.choice((1, 16, 4096))))


def test_a_damaged_file_is_a_sentence_or_not_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.sqlite3"
    store = Store.create(f"sqlite:///{whole}")
    importer.import_files(store, importer.Request((hosts_file(tmp_path / "hosts.yml", "h", "10.1.1", 100),)))
    with contextlib.closing(sqlite3.connect(whole)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    sentences = []
    for seed in range(24):
        path = tmp_path / f"{seed}.sqlite3"
        shutil.copy(whole, path)
        damaged(path, seed)
        try:
            broken = Store.open(f"sqlite:///{path}")
            snapshot.read(broken)
            with broken.write(reason="x") as session:
                states.load(session)
                session.add(Idc(code="new"))
        except CmdbError as error:
            sentences.append(str(error))
    assert len(sentences) > 5
    assert all(one.startswith(f"CMDB {tmp_path}/") and "\n" not in one for one in sentences)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Give a file system of 48 MB, not below pytest's directory, which PostgreSQL's user cannot reach."""
    with tempfile.TemporaryDirectory(prefix="drcloud-small-") as name:
        options = ["-t", "tmpfs", "-o", "size=48m,mode=777", "tmpfs", name]
        made = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.fail(f"a full disk is tested on a mounted tmpfs, which takes root: {made.stderr.strip()}")
        yield Path(name)
        subprocess.run(["umount", "--lazy", name], check=True)


def fill(directory: Path, left: int) -> Path:
    """Take all room but ``left`` bytes; removing the file gives it back."""
    path = directory / "ballast"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
        file.truncate(file.tell() - left)
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def on_small_disk(request: pytest.FixtureRequest, small_disk: Path) -> Iterator[Store]:
    """Give a CMDB on each engine whose rows lie on the small disk."""
    if request.param == "sqlite":
        yield Store.create(f"sqlite:///{small_disk}/cmdb.sqlite3")
        return
    server = request.getfixturevalue("postgresql")
    space = small_disk / "space"
    space.mkdir()
    if os.geteuid() == 0:
        shutil.chown(space, "postgres", "postgres")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
        admin.execute("CREATE DATABASE on_small_disk TABLESPACE small")
        yield Store.create(f"{server}/on_small_disk")
        admin.execute("DROP DATABASE on_small_disk WITH (FORCE)")
        admin.execute("DROP TABLESPACE small")


def test_a_full_disk(
    on_small_disk: Store, small_disk: Path, tmp_path: Path, require_consistent: Check
) -> None:
    store = on_small_disk
    importer.import_files(store, importer.Request((hosts_file(tmp_path / "1.yml", "h", "10.1.1", 20),)))
    before = require_consistent(store)
    more = hosts_file(tmp_path / "2.yml", "g", "10.1.2", 250)
    # Too little for the import; then so little that SQLite cannot even open what it keeps beside its file.
    for left in (1 << 17, 0):
        ballast = fill(small_disk, left)
        with pytest.raises(CmdbError, match="disk is full; nothing was written; make room") as caught:
            importer.import_files(store, importer.Request((more,)))
        assert caught.value.exit_code is ExitCode.CMDB
        ballast.unlink()
        assert require_consistent(store) == before
    importer.import_files(store, importer.Request((more,)))
    assert require_consistent(store) > before
