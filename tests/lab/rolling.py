"""What the tests of rolls share: the command, the load on balancers and VIP, looks at hosts and ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select, update

from drcloud.cmdb import leases, reading, snapshot
from drcloud.cmdb.base import now
from drcloud.cmdb.operational import Deployment, Lease
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, status
from drcloud.lab.identity import Lab, locate
from drcloud.lab.load import Load, LoadResult, mixed

Run = Callable[..., subprocess.CompletedProcess[str]]
HOSTS = tuple(f"dk-0{number}" for number in range(1, 7))
FIRST, SECOND = "t1", "t2"
SICK, LATE, PICKY = "t3-never-healthy", "t4-crashes-late", "t5-not-on-every-host"
RATE = 30.0
LBS = ("lb-01", "lb-02")
POOL = "demo_prod"
END = "=== end"
PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
_ANEW = "ARG BASE\nFROM ${BASE}\nARG VERSION\nENV VERSION=${VERSION}"
# What makes each of them no good: never healthy, dead after a while, never healthy on one host.
PICKED = "dk-05"
_PICKING = f"""import os, runpy
if os.environ["DRCLOUD_HOST"] == "{PICKED}": os.environ["FAIL_HEALTH"] = "1"
runpy.run_path("/app/app.py", run_name="__main__")"""
BROKEN = {
    SICK: f"{_ANEW} FAIL_HEALTH=1\n",
    LATE: f"{_ANEW} CRASH_AFTER=20\n",
    PICKY: f"{_ANEW}\nENTRYPOINT {json.dumps(['/usr/bin/python3', '-c', _PICKING])}\n",
}


def drcloud(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "drcloud", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def deploy(tag: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return drcloud("deploy", "demo", tag, "--env", "prod", *arguments)


def said(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


def vip() -> str:
    """The app where its users ask for it: at the VIP that one of the load balancers holds."""
    store = Store.open()
    [pool] = reading.read(store, "lb_pool", ["demo"])
    [held] = reading.read(store, "vip", [pool.fields["vip"]])
    return f"http://{held.fields['address']}:{pool.fields['port']}/"


def under_load(
    clients: list[str], act: Callable[[], Any], lbs: tuple[str, ...] = LBS
) -> tuple[Any, LoadResult]:
    """Do something while clients ask steadily: GETs, slow ones, POSTs and websockets.

    Enough hosts must be in service at these load balancers all the time, and in the end nothing is locked and
    no deployment open.
    """
    capacity, load = Capacity(locate(), lbs), Load(clients, mixed(RATE))
    load.start()
    try:
        time.sleep(1)
        result = act()
        time.sleep(1)
    finally:
        seen, lowest = load.stop(), capacity.stop()
    print(f"{seen.served} served, {seen.failed} failed, {seen.posted} posted, {seen.failed_posts} failed")
    print(f"{seen.sockets} websockets, {seen.failed_sockets} failed; least in service {lowest}")
    print(seen.by_version, *(f"{url} {got}, {lost} failed" for url, (got, lost) in seen.at.items()))
    print(*seen.errors, sep="\n")
    assert min(lowest.values()) >= needed(), lowest
    assert not leases.held(Store.open())
    assert not open_deployments()
    return result, seen


def open_deployments() -> list[str]:
    with Store.open().read() as session:
        return list(session.scalars(select(Deployment.uid).where(Deployment.state == "running")))


def tags() -> dict[str, str]:
    """What runs on each host, as the CMDB has it."""
    rows = status.read(Store.open(), "demo", "prod")
    return {row.host: row.seen.tag for row in rows if row.seen and row.seen.status == "running"}


def containers(on: Run, host: str) -> dict[str, str]:
    """Names and states of the app's containers, as the host itself has them."""
    command = "sudo docker ps --all --filter label=com.dianrong.cloud.app=demo"
    lines = on(host, f"{command} --format '{{{{.Names}}}} {{{{.ID}}}} {{{{.State}}}}'").stdout.splitlines()
    return {f"{name} {key}": state for name, key, state in (line.split() for line in lines)}


def running(on: Run) -> dict[str, list[str]]:
    return {
        host: [name for name, state in containers(on, host).items() if state == "running"] for host in HOSTS
    }


def answers(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return dict(json.load(answer))


def last() -> Deployment:
    with Store.open().read() as session:
        row = session.scalars(select(Deployment).order_by(Deployment.id.desc()).limit(1)).one()
        assert row.steps is not None
        assert all(step.host.name for step in row.steps)
        return row


def steps() -> dict[str, str]:
    return {step.host.name: step.state for step in last().steps}


def host_state(host: str) -> str:
    return next(row.state for row in snapshot.read(Store.open()).hosts if row.name == host)


def needed() -> int:
    """How many hosts must stay in service."""
    placements = snapshot.read(Store.open()).placements
    return next(row.min_in_service for row in placements if (row.app, row.env) == ("demo", "prod"))


def count() -> int:
    with Store.open().read() as session:
        return len(session.scalars(select(Deployment.id)).all())


def wait_for(what: Callable[[], Any], seconds: float) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds:.0f} s")


def claimed() -> list[str]:
    """Which hosts are being switched now, after the canary."""
    rows = [step for step in last().steps if step.state == "claimed" and step.batch > 0]
    return [step.host.name for step in rows]


def stop(rolling: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Stop the controller with its workers, each of which has a session of its own, and what they started."""
    controller = psutil.Process(rolling.pid)
    controller.suspend()
    # The signal is on its way; until it is there, more of them may be started.
    wait_for(lambda: controller.status() == psutil.STATUS_STOPPED, 20)
    family = [controller, *controller.children(recursive=True)]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.suspend()
    return family


def kill(rolling: subprocess.Popen[bytes]) -> None:
    """Kill the controller and all that it started."""
    for one in stop(rolling):
        with suppress(psutil.NoSuchProcess):
            one.kill()
    rolling.wait()


def expired(holders: set[str]) -> bool:
    """End all leases, until the dead controller's heartbeat has ended too and renews none."""
    with Store.open().operate() as session:
        session.execute(update(Lease).values(expires_at=now() - timedelta(seconds=1)))
    pattern = f"drcloud.cmdb.heartbeat ({'|'.join(holders)})"
    heartbeats = subprocess.run(["pgrep", "--full", pattern], check=False, capture_output=True)
    return not heartbeats.stdout and not leases.held(Store.open())


def revive(lab: Lab, host: str) -> None:
    subprocess.run(["docker", "start", f"{lab.name}-{host}"], check=True, capture_output=True)
    up = drcloud("lab", "up")
    assert up.returncode == 0, said(up)


ASK = f"echo '{haproxy.ask(POOL)}' | socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock"


def in_service(lab: Lab) -> dict[str, int]:
    """How many hosts each load balancer has in service now."""
    return {lb: _count(_in(lab, lb, ASK)) for lb in LBS}


def _in(lab: Lab, host: str, command: str) -> str:
    """Run a command on a host of the lab without SSH, which may be what is being broken."""
    ask = ["docker", "exec", f"{lab.name}-{host}", "bash", "-c", command]
    return subprocess.run(ask, check=True, capture_output=True, text=True, timeout=60).stdout


def _count(answer: str) -> int:
    return len(haproxy.hosts_in_service(haproxy.parse(POOL, answer)))


class Capacity:
    """How many hosts each load balancer had in service, looked at over and over from start to stop."""

    def __init__(self, lab: Lab, lbs: tuple[str, ...] = LBS) -> None:
        self._lab = lab
        # It ends with its file: who runs something by `docker exec` cannot end it.
        self._file = f"/run/drc-test-{uuid.uuid4().hex[:8]}"
        loop = f"touch {self._file}; while [ -e {self._file} ]; do {ASK}; echo {END}; sleep 0.2; done"
        self._looks = {
            lb: subprocess.Popen(
                ["docker", "exec", f"{lab.name}-{lb}", "bash", "-c", loop], stdout=subprocess.PIPE, text=True
            )
            for lb in lbs
        }

    def stop(self) -> dict[str, int]:
        """Return the lowest number at each load balancer."""
        return {lb: self._lowest(lb, look) for lb, look in self._looks.items()}

    def _lowest(self, lb: str, look: subprocess.Popen[str]) -> int:
        _in(self._lab, lb, f"rm {self._file}")
        text, _ = look.communicate(timeout=30)
        looks = text.split(f"{END}\n")[:-1]
        # On a machine that is short of CPU the admin socket may close before it has said anything.
        answers = [answer for answer in looks if answer.strip()]
        assert len(answers) > max(10, len(looks) * 0.8), "too few looks to tell"
        return min(_count(answer) for answer in answers)
