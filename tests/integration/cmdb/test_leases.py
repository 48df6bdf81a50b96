"""Leases and events under 32 processes, and under processes that are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from drcloud.cmdb import leases, outbox
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import Lease, Outbox
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, LockedError

PROCESSES = 32
EVENTS = 2
MINUTE = timedelta(minutes=1)
SHORT = timedelta(seconds=1)
LONG = timedelta(seconds=6)
# How long a killed holder blocks the others: longer than a busy machine lets a live one stand still.
LEFT = timedelta(seconds=4)


def patiently(store: Store, names: list[tuple[str, bool]], holder: str, ttl: timedelta) -> dict[str, int]:
    """Acquire; as often as somebody else has the lock, try again a little later."""
    while True:
        try:
            return leases.acquire(store, names, holder=holder, purpose="test", ttl=ttl)
        except LockedError:
            time.sleep(random.uniform(0.05, 0.4))


def until(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def count_up(counter: Path, log: Path, token: int) -> None:
    """Do what two at once would do wrong: read, write one more; and note the token."""
    value = int(counter.read_text())
    counter.write_text(str(value + 1))
    with log.open("a") as file:
        file.write(f"{token}\n")


def _contend(number: int, url: str, counter: Path, log: Path) -> None:
    store = Store.open(url)
    names = [("host:dk-01", False), ("app:demo@prod", True)]
    holder = f"run-{number}"
    tokens = patiently(store, names if number % 2 else names[::-1], holder, MINUTE)
    count_up(counter, log, tokens["app:demo@prod"])
    leases.release(store, holder)


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    path = tmp_path / "counter"
    path.write_text("0")
    return path


def test_one_at_a_time_of_32_processes(cmdb_url: str, crowd: Any, counter: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    crowd.succeed(PROCESSES, _contend, cmdb_url, counter, log)
    tokens = [int(line) for line in log.read_text().splitlines()]
    assert int(counter.read_text()) == len(tokens) == PROCESSES
    assert tokens == sorted(set(tokens))
    assert leases.held(Store.open(cmdb_url)) == []


def _hold_again_and_again(number: int, url: str, log: Path) -> None:
    store = Store.open(url)
    for turn in range(10**6):
        holder = f"run-{number}-{turn}"
        [token] = patiently(store, [("app:demo@prod", True)], holder, LEFT).values()
        assert leases.renew(store, holder, LEFT) == {"app:demo@prod": token}
        with log.open("a") as file:
            file.write(f"{os.getpid()} {token}\n")
        leases.release(store, holder)


def test_a_killed_holder_loses_its_lease_to_a_larger_token(cmdb_url: str, crowd: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    chance = random.Random(7)
    crowd.start(6, _hold_again_and_again, cmdb_url, log)
    for victim in chance.sample(crowd.processes, 5):
        seen = len(log.read_text().splitlines())
        until(lambda seen=seen: len(log.read_text().splitlines()) > seen + 2, 120)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.05))
        victim.kill()
        victim.join()
    # The last one goes on whatever the others left behind.
    [left] = [process for process in crowd.processes if process.is_alive()]
    seen = len(log.read_text().splitlines())
    until(lambda: len(log.read_text().splitlines()) > seen + 2, 120)
    left.kill()
    left.join()
    tokens = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert tokens == sorted(set(tokens))
    store = Store.open(cmdb_url)
    [token] = patiently(store, [("app:demo@prod", True)], "after", MINUTE).values()
    assert token > tokens[-1]


CONTROLLER = """
import os, subprocess, sys, time
from datetime import timedelta
from drcloud.cmdb import heartbeat, leases
from drcloud.cmdb.store import Store

store, holder, ttl = Store.open(sys.argv[1]), sys.argv[2], timedelta(seconds=3)
give_back = sys.argv[3:] == ["give-back"]
[token] = leases.acquire(store, [("app:demo@prod", True)], holder=holder, purpose="x", ttl=ttl).values()
heartbeat.start(store, holder, os.getpid(), ttl, give_back=give_back)
worker = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL) if sys.argv[3:] else None
print(token, worker and worker.pid, flush=True)
time.sleep(60)
"""


def beating(holder: str) -> list[psutil.Process]:
    command = ["-m", "drcloud.cmdb.heartbeat", holder]
    return [one for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[1:4] == command]


def test_a_heartbeat_holds_the_lease_and_dies_with_its_controller(cmdb_url: str) -> None:
    store = Store.open(cmdb_url)
    holder = str(uuid.uuid4())
    command = [sys.executable, "-c", CONTROLLER, cmdb_url, holder]
    controller = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert controller.stdout is not None
        first = int(controller.stdout.readline().split()[0])
        with store.read() as session:
            end = session.scalars(select(Lease.expires_at)).one()
        # Only the heartbeat can have moved the end; on a busy machine it revives what has expired.
        until(lambda: any(lease.expires_at > end + SHORT for lease in leases.held(store)), 60)
        assert len(beating(holder)) == 1
    finally:
        controller.kill()
        controller.communicate()
    until(lambda: beating(holder) == [], 30)
    [later] = patiently(store, [("app:demo@prod", True)], "run-2", MINUTE).values()
    assert later > first


@pytest.mark.parametrize("way", ["give-back", "let-expire"])
def test_nobody_else_begins_while_a_worker_of_a_killed_controller_acts(cmdb_url: str, way: str) -> None:
    store = Store.open(cmdb_url)
    holder = str(uuid.uuid4())
    command = [sys.executable, "-c", CONTROLLER, cmdb_url, holder, way]
    controller = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert controller.stdout is not None
        worker = psutil.Process(int(controller.stdout.readline().split()[1]))
        # The heartbeat has looked at the workers when it has renewed once.
        with store.read() as session:
            end = session.scalars(select(Lease.expires_at)).one()
        until(lambda: any(lease.expires_at > end + SHORT for lease in leases.held(store)), 60)
    finally:
        controller.kill()
        controller.communicate()
    try:
        # Longer than the lease would live without a heartbeat.
        until(lambda: [lease.expires_at > end + LONG for lease in leases.held(store)] == [True], 60)
    finally:
        worker.kill()
    until(lambda: beating(holder) == [], 30)
    if way == "give-back":
        assert leases.held(store) == []
    else:
        until(lambda: leases.held(store) == [], 30)


def test_the_servers_clock_counts(cmdb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller whose clock is a year ahead must not take what another holds; a file has one clock."""
    store = Store.open(cmdb_url)
    leases.acquire(store, [("a", True)], holder="run-1", purpose="x", ttl=MINUTE)
    ahead = leases.now() + timedelta(days=365)
    monkeypatch.setattr(leases, "now", lambda: ahead)
    one_clock = store.url.startswith("sqlite")
    assert leases.held(store) == [] if one_clock else leases.held(store)[0].holder == "run-1"
    if not one_clock:
        with pytest.raises(LockedError):
            leases.acquire(store, [("a", True)], holder="run-2", purpose="x", ttl=MINUTE)


def _publish(number: int, url: str) -> None:
    store = Store.open(url)
    for turn in range(EVENTS):
        with store.operate() as session:
            outbox.publish(session, "app:demo@prod", "test", {"process": number, "turn": turn})
    # Refused at the end: nothing of the unit stays, its event neither.
    with pytest.raises(InvalidInputError), store.write(reason="x") as session:
        outbox.publish(session, "app:demo@prod", "taken-back", {})
        session.add(Host(name=f"h{number}", role="docker", state="unheard of"))


def test_events_come_in_the_order_of_commits_and_none_of_a_rollback(cmdb_url: str, crowd: Any) -> None:
    store = Store.open(cmdb_url)
    seen: list[tuple[int, str, int, int]] = []

    def follow() -> None:
        newer = select(Outbox).where(Outbox.id > (seen[-1][0] if seen else 0)).order_by(Outbox.id)
        with store.read() as session:
            for row in session.scalars(newer):
                seen.append((row.id, row.type, row.data.get("process", -1), row.data.get("turn", -1)))

    processes = crowd.start(PROCESSES, _publish, cmdb_url)
    # A follower never sees an event appear behind one that it has seen.
    while any(process.is_alive() for process in processes):
        follow()
        time.sleep(0.1)
    follow()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert {kind for _, kind, *_ in seen} == {"test"}
    for number in range(PROCESSES):
        assert [turn for *_, process, turn in seen if process == number] == list(range(EVENTS))
