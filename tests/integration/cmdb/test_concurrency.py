"""Several processes at once, and processes that die: consistent, complete, in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select

from drcloud.cmdb import importer, snapshot
from drcloud.cmdb.declared import Idc
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store

WRITERS = 4
EACH = 10


def _write(number: int, url: str) -> None:
    store = Store.open(url)
    for turn in range(EACH):
        with store.write(reason="concurrent", actor=f"writer-{number}") as session:
            session.add(Idc(code=f"w{number}-{turn}"))
            session.flush()
            session.add(Idc(code=f"x{number}-{turn}"))


def test_writers_at_once_log_everything_in_commit_order(cmdb_url: str, crowd: Any) -> None:
    processes = crowd.start(WRITERS, _write, cmdb_url)
    # A reader that follows the sequence meanwhile must never see a number appear behind it.
    store, followed = Store.open(cmdb_url), [0]
    while any(process.is_alive() for process in processes):
        _follow(store, followed)
    _follow(store, followed)
    assert [process.exitcode for process in processes] == [0] * WRITERS
    assert followed == list(range(WRITERS * EACH * 2 + 1))
    assert store.declared_seq() == followed[-1]


def _follow(store: Store, followed: list[int]) -> None:
    with store.read() as session:
        newer = select(ChangeLog.seq).where(ChangeLog.seq > followed[-1]).order_by(ChangeLog.seq)
        followed += session.scalars(newer)


def _big_file(path: Path, hosts: int) -> None:
    lines = ["drcloud: 1", "prefixes: [{cidr: 10.0.0.0/16}]", "hosts:"]
    lines += [
        f"  - {{name: h-{number}, role: docker, address: 10.0.{number // 250}.{number % 250 + 1}}}"
        for number in range(hosts)
    ]
    path.write_text("\n".join(lines) + "\n")


SLOW_IMPORT = """
import sys, time
from drcloud.cmdb import importer
from drcloud.cmdb.store import Store
from sqlalchemy import event
from sqlalchemy.orm import Session

def hesitate(session):
    # Everything is flushed, nothing committed.
    session.flush()
    print("written", flush=True)
    time.sleep(60)

event.listen(Session, "before_commit", hesitate)
importer.import_files(Store.open(sys.argv[1]), importer.Request((sys.argv[2],)))
"""


def test_kill_in_the_middle_of_an_import_changes_nothing(cmdb_url: str, tmp_path: Path) -> None:
    path = tmp_path / "big.yml"
    _big_file(path, 500)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT, cmdb_url, str(path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    store = Store.open(cmdb_url)
    assert (store.declared_seq(), snapshot.read(store).hosts) == (0, ())
    importer.import_files(store, importer.Request((path,)))
    assert len(snapshot.read(store).hosts) == 500


def _create(_number: int, url: str) -> None:
    Store.create(url)


def test_several_inits_at_once(crowd: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.sqlite3"
    crowd.succeed(4, _create, url)
    assert Store.open(url).declared_seq() == 0
