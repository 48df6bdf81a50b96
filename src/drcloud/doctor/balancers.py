"""Load balancers: HAProxy must answer on its admin socket, with the pools that the CMDB declares.

The socket is a file on the host, so the way to it is SSH.
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from drcloud.cmdb import ssh
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, counted, fine, problem, skipped, warning
from drcloud.doctor.reach import Line
from drcloud.exitcodes import ExitCode

CHECK = "load balancer"
# As the role dianrong.cloud.load_balancer configures it.
COMMAND = "echo 'show stat' | sudo -n socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock"

Pools = Mapping[str, tuple[str, int]]


def balancers(context: Context) -> Iterator[Finding]:
    """Ask the HAProxy of every load balancer that a placement names."""
    if context.snapshot is None:
        yield skipped(CHECK, "load balancers", "the CMDB cannot be read")
        return
    wanted: dict[str, list[str]] = {}
    for placement in context.snapshot.placements:
        for name in placement.lbs:
            wanted.setdefault(name, []).append(f"{placement.app}_{placement.env}")
    chosen = [row.name for row in context.hosts() if row.name in wanted]
    if not chosen:
        yield skipped(CHECK, "load balancers", "no placement names one of these hosts")
        return
    with tempfile.TemporaryDirectory(prefix="drcloud-doctor-") as directory:
        if any(name in context.reached for name in chosen):
            ssh.write(context.snapshot, directory, context.site.identity_file)
        line = Line(Path(directory) / ssh.CONFIG, context.seconds)
        for name in chosen:
            if name not in context.reached:
                yield skipped(CHECK, name, "was not reached over SSH")
                continue
            context.watch(f"load balancer {name}")
            yield from _ask(name, wanted[name], line)


def _ask(name: str, wanted: list[str], line: Line) -> Iterator[Finding]:
    advice = f"drcloud run dianrong.cloud.provision --limit {name}"
    try:
        done = line.run(name, COMMAND)
    except subprocess.TimeoutExpired:
        yield problem(CHECK, name, "its admin socket does not answer in time", advice, ExitCode.UNREACHABLE)
        return
    if done.returncode != 0 or not done.stdout.startswith("# pxname"):
        said = (done.stderr.strip().splitlines() or ["it answers nothing"])[-1]
        yield problem(CHECK, name, f"HAProxy does not answer on its admin socket: {said}", advice)
        return
    yield from judged(name, wanted, pools(done.stdout))


def pools(text: str) -> Pools:
    """Return the back-ends of ``show stat`` with their state and how many of their servers are up.

    See https://docs.haproxy.org/2.6/management.html#9.1
    """
    states: dict[str, str] = {}
    up: dict[str, int] = {}
    for row in csv.DictReader(text.removeprefix("# ").splitlines()):
        name, server, state = row["pxname"], row["svname"], row["status"]
        if server == "BACKEND":
            states[name] = state
        elif server != "FRONTEND":
            up[name] = up.get(name, 0) + state.startswith("UP")
    return {name: (state, up.get(name, 0)) for name, state in states.items()}


def judged(name: str, wanted: list[str], found: Pools) -> Iterator[Finding]:
    """Compare the pools of a load balancer with those that placements want."""
    missing = [pool for pool in wanted if pool not in found]
    if missing:
        message = f"HAProxy has no pool {', '.join(missing)}"
        yield problem(CHECK, name, message, f"drcloud run dianrong.cloud.provision --limit {name}")
    idle = [pool for pool in wanted if pool in found and found[pool][1] == 0]
    if idle:
        message = f"no server of {', '.join(idle)} is up"
        yield warning(CHECK, name, message, "drcloud status tells what runs; drcloud deploy brings it there")
    if not missing and not idle:
        yield fine(CHECK, name, f"HAProxy answers and serves {counted(len(wanted), 'pool')}")
