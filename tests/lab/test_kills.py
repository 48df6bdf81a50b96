"""A controller that is killed between any two steps of the ledger, and another one that goes on.

The CMDB is locked at the moment of the kill, so the controller is just there and no further.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from _pytest.mark import ParameterSet
from sqlalchemy import select
from tests.lab.rolling import (
    FIRST,
    HOSTS,
    PICKED,
    PICKY,
    PLAYBOOK,
    SECOND,
    Run,
    containers,
    deploy,
    drcloud,
    expired,
    in_service,
    kill,
    last,
    said,
    stop,
    tags,
    under_load,
    wait_for,
)

from drcloud.cmdb import leases
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("built", "locks_are_free")]
ROLLED = ("dk-01", "dk-02", "dk-03")
Point = Callable[["Look"], object]


class Look:
    """The roll that is under way, as the ledger and its hosts have it."""

    def __init__(self, lab: Lab, before: int) -> None:
        self._lab = lab
        self._before = before
        self.row: Deployment | None = None

    def again(self) -> None:
        found = last()
        self.row = found if found.id > self._before else None

    def hosts(self, *states: str) -> list[str]:
        """The hosts whose step is in one of these states, in order."""
        assert self.row is not None
        return [step.host.name for step in self.row.steps if step.state in states]

    @property
    def planned(self) -> bool:
        assert self.row is not None
        return "steps" in self.row.plan

    @property
    def over(self) -> bool:
        return self.row is not None and self.row.state != "running"

    def instances(self, host: str) -> list[tuple[str, str]]:
        """Revision and state of each of the app's containers on a host, asked without SSH."""
        ask = ["docker", "exec", f"{self._lab.name}-{host}", "docker", "ps", "--all"]
        form = '{{.Label "com.dianrong.cloud.revision"}} {{.State}}'
        only = ["--filter", "label=com.dianrong.cloud.app=demo", "--format", form]
        shown = subprocess.run([*ask, *only], check=True, capture_output=True, text=True).stdout
        return [(revision, state) for revision, state in (line.split() for line in shown.splitlines())]

    def running(self, host: str) -> list[str]:
        return [revision for revision, state in self.instances(host) if state == "running"]


def _one(look: Look, *states: str) -> bool:
    return len(look.hosts(*states)) == 1


# Each is true just after a step was written, and before the next one can be.
ROLL: dict[str, Point] = {
    "opened": lambda look: not look.planned,
    "planned": lambda look: look.planned and not look.hosts("claimed", "done"),
    "first host claimed": lambda look: _one(look, "claimed") and not look.hosts("done"),
    "new instance started": lambda look: (
        _one(look, "claimed") and len(look.running(look.hosts("claimed")[0])) > 1
    ),
    "old instance stopped": lambda look: (
        _one(look, "claimed")
        and look.row is not None
        and look.running(look.hosts("claimed")[0]) == [look.row.revision]
    ),
    "first host done": lambda look: _one(look, "done") and not look.hosts("claimed"),
    "second batch claimed": lambda look: len(look.hosts("claimed")) > 1,
    "one of a batch done": lambda look: len(look.hosts("done")) > 1 and look.hosts("claimed"),
    "all done, not closed": lambda look: len(look.hosts("done")) == len(ROLLED),
}
BACK: dict[str, Point] = {
    "failed, not settled": lambda look: _one(look, "reverted") and look.hosts("done"),
    "being put back": lambda look: _one(look, "reverted") and look.hosts("claimed"),
    "put back, not closed": lambda look: (
        len(look.hosts("reverted")) > 1 and not look.hosts("claimed", "done")
    ),
}


# One of each kind of step: the deployment, the plan, a claim, a commit, the end.
KINDS = ("opened", "planned", "first host claimed", "first host done", "all done, not closed")


def points(names: Iterable[str]) -> list[ParameterSet]:
    """Those of KINDS, and the others for the long run."""
    return [pytest.param(name, marks=() if name in KINDS else pytest.mark.lab_slow) for name in names]


@contextmanager
def locked_cmdb() -> Iterator[None]:
    """Keep everybody from writing."""
    path = os.environ["DRCLOUD_CMDB_URL"].removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None, timeout=20)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def at(point: Point, look: Look, act: Callable[[], object]) -> None:
    """Do something at a point of the roll."""

    def there() -> bool:
        look.again()
        assert not look.over, "the roll was over before it came to that point"
        return look.row is not None and bool(point(look))

    end = time.monotonic() + 180
    while True:
        assert time.monotonic() < end, "the roll never came to that point"
        if there():
            with locked_cmdb():
                if there():
                    act()
                    break
        time.sleep(0.02)


def kill_at(point: Point, look: Look, rolling: subprocess.Popen[bytes]) -> None:
    """Kill the controller and all its workers at a point of the roll, and have its leases end."""
    at(point, look, lambda: kill(rolling))
    holders = {held.holder for held in leases.held(Store.open())}
    wait_for(lambda: expired(holders), 20)


def roll(tag: str, *hosts: str) -> subprocess.Popen[bytes]:
    ansible = [PLAYBOOK, "-i", os.environ["DRCLOUD_INVENTORY"]]
    variables = ["-e", "app=demo", "-e", f"tag={tag}", "-e", "env=prod", "-e", f"only={','.join(hosts)}"]
    return subprocess.Popen(
        [*ansible, "dianrong.cloud.deploy", *variables], stdout=subprocess.DEVNULL, start_new_session=True
    )


def other(hosts: tuple[str, ...]) -> str:
    """Return the release that these hosts do not run, all of them running one."""
    if set(tags()) != set(HOSTS):
        done = deploy(FIRST)
        assert done.returncode == 0, said(done)
    found = {tags()[host] for host in hosts}
    if found not in ({FIRST}, {SECOND}):
        done = deploy(FIRST, "--limit", ",".join(hosts))
        assert done.returncode == 0, said(done)
        return SECOND
    return SECOND if found == {FIRST} else FIRST


def in_order(on: Run, lab: Lab, hosts: tuple[str, ...]) -> None:
    """One instance runs on each host, in service at both load balancers; ledger and locks are done."""
    for host in hosts:
        states = sorted(containers(on, host).values())
        assert states.count("running") == 1, (host, states)
        assert set(states) <= {"running", "exited"}, (host, states)
    with Store.open().read() as session:
        rows = session.scalars(select(Deployment)).all()
        assert not [row.uid for row in rows if row.state == "running"]
        assert not [step.host.name for step in rows[-1].steps if step.state in ("claimed", "pending")]
    assert not leases.held(Store.open())
    wait_for(lambda: set(in_service(lab).values()) == {6}, 20)


@pytest.mark.parametrize("name", points(ROLL))
def test_a_roll_goes_on_from_wherever_its_controller_was_killed(
    name: str, lab: Lab, on: Run, clients: list[str]
) -> None:
    wanted = other(ROLLED)
    look = Look(lab, last().id)

    def kill_and_resume() -> subprocess.CompletedProcess[str]:
        kill_at(ROLL[name], look, roll(wanted, *ROLLED))
        return drcloud("deploy", "demo", "--env", "prod", "--resume")

    done, seen = under_load(clients, kill_and_resume)
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert {tags()[host] for host in ROLLED} == {wanted}
    in_order(on, lab, ROLLED)


@pytest.mark.parametrize("name", points(BACK))
def test_going_back_goes_on_from_wherever_its_controller_was_killed(
    name: str, lab: Lab, on: Run, clients: list[str]
) -> None:
    hosts = ("dk-01", PICKED)
    before = FIRST if other(hosts) == SECOND else SECOND
    look = Look(lab, last().id)

    def kill_and_resume() -> subprocess.CompletedProcess[str]:
        kill_at(BACK[name], look, roll(PICKY, *hosts))
        return drcloud("deploy", "demo", "--env", "prod", "--resume")

    done, seen = under_load(clients, kill_and_resume)
    assert done.returncode == 1, said(done)
    assert seen.lost == 0, seen.errors
    assert last().state == "reverted"
    assert {tags()[host] for host in hosts} == {before}
    in_order(on, lab, hosts)


@pytest.mark.lab_slow
@pytest.mark.parametrize(
    "name", ["first host claimed", "new instance started", "old instance stopped", "second batch claimed"]
)
def test_a_controller_that_wakes_up_after_another_went_on_does_no_harm(
    name: str, lab: Lab, on: Run, clients: list[str]
) -> None:
    """As a machine that was paused: its locks are taken over, and then it acts as if nothing had been."""
    wanted = other(ROLLED)
    look = Look(lab, last().id)
    family: list[psutil.Process] = []
    sleeper = roll(wanted, *ROLLED)

    def go_on() -> subprocess.CompletedProcess[str]:
        at(ROLL[name], look, lambda: family.extend(stop(sleeper)))
        holders = {held.holder for held in leases.held(Store.open())}
        pattern = f"drcloud.cmdb.heartbeat ({'|'.join(holders)})"
        subprocess.run(["pkill", "--signal", "KILL", "--full", pattern], check=True)
        wait_for(lambda: expired(holders), 20)
        done = drcloud("deploy", "demo", "--env", "prod", "--resume")
        for one in reversed(family):
            with suppress(psutil.NoSuchProcess):
                one.resume()
        assert sleeper.wait(timeout=180) != 0
        return done

    try:
        done, seen = under_load(clients, go_on)
    finally:
        if sleeper.poll() is None:
            kill(sleeper)
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert {tags()[host] for host in ROLLED} == {wanted}
    in_order(on, lab, ROLLED)
