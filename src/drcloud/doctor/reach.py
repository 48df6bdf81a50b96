"""SSH: every host in use must let us in, with the configuration that the inventory gives to Ansible.

Bastions come first, for whatever stands behind one that does not answer cannot be judged.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from drcloud.cmdb import ssh
from drcloud.cmdb.snapshot import HostRow
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, counted, fine, problem, skipped, warning
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode

CHECK = "ssh"
# A host that is only planned has no pinned key yet, and a retired one is nobody's business.
EXPECTED = ("provisioning", "active", "maintenance", "quarantined")
# What OpenSSH says, and what to do about it; the first that fits.
ADVICE = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "find out why its key changed before you pin the new one"),
    ("Host key verification failed", "find out why its key changed before you pin the new one"),
    ("Permission denied", "put the public key of the identity file into authorized_keys of this user"),
    ("no such identity", "name the private key as ssh.identity_file of the inventory source"),
    ("Connection refused", "start sshd there, or correct the port in the CMDB"),
    ("timed out", "is the host up, and does a firewall let the controller or the bastion through?"),
    ("No route to host", "is the host up, and is its address in the CMDB right?"),
)
SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class Line:
    """A way to run a command on hosts: the configuration to use, and how many seconds to wait."""

    config: Path
    seconds: float

    def run(self, host: str, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host; raises ``subprocess.TimeoutExpired`` after twice the time to connect."""
        wait = f"ConnectTimeout={max(1, round(self.seconds))}"
        words = ["ssh", "-F", str(self.config), "-o", "BatchMode=yes", "-o", wait, host, command]
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=self.seconds * 2,
            check=False,
        )


def hosts(context: Context) -> Iterator[Finding]:
    """Log in to every host that is in use."""
    if context.snapshot is None:
        yield skipped(CHECK, "hosts", "the CMDB cannot be read")
        return
    chosen = [row for row in context.hosts() if row.state in EXPECTED]
    if rest := len(context.hosts()) - len(chosen):
        yield skipped(CHECK, counted(rest, "host"), "planned or retired")
    with tempfile.TemporaryDirectory(prefix="drcloud-doctor-") as directory:
        try:
            ssh.write(context.snapshot, directory, context.site.identity_file)
        except InvalidInputError as error:
            yield problem(CHECK, "configuration", str(error), "correct it in the CMDB", error.exit_code)
            return
        line = Line(Path(directory) / ssh.CONFIG, context.seconds)
        yield from _visits(context, chosen, line)


def _visits(context: Context, chosen: list[HostRow], line: Line) -> Iterator[Finding]:
    """Visit bastions, then what is behind them, level by level."""
    snapshot = context.snapshot
    known = {row.name: row for row in ((*snapshot.hosts, *snapshot.others) if snapshot else ())}
    pinned = {row.host for row in (snapshot.host_keys if snapshot else ())}
    waiting = {row.name: row for row in _with_bastions(chosen, known)}
    lost: set[str] = set()
    done, total = 0, len(waiting)
    while waiting:
        ready = [row for row in waiting.values() if row.ssh_via not in waiting]
        if not ready:  # the CMDB refuses a circle, and so does the configuration
            return
        reachable = [row for row in ready if row.ssh_via not in lost and row.name in pinned]
        found = {row.name: _barred(row, lost) for row in ready if row not in reachable}
        with ThreadPoolExecutor(context.at_once) as pool:
            for row, finding in zip(
                reachable, pool.map(lambda one: _visit(one, line), reachable), strict=True
            ):
                found[row.name] = finding
                done += 1
                context.watch(f"SSH: {done} of {total} hosts")
        for row in ready:
            waiting.pop(row.name)
            (context.reached if found[row.name].level == "ok" else lost).add(row.name)
            yield found[row.name]


def _with_bastions(chosen: Iterable[HostRow], known: dict[str, HostRow]) -> Iterator[HostRow]:
    """Yield the hosts and all bastions on the way to them, each once."""
    seen = set()
    for row in chosen:
        here: HostRow | None = row
        while here is not None and here.name not in seen:
            seen.add(here.name)
            yield here
            here = known.get(here.ssh_via) if here.ssh_via else None


def _barred(row: HostRow, lost: set[str]) -> Finding:
    if row.ssh_via in lost:
        return skipped(CHECK, row.name, f"stands behind {row.ssh_via}, which does not let us in")
    advice = f"drcloud run dianrong.cloud.provision --limit {row.name}"
    return warning(CHECK, row.name, "has no pinned SSH host key, so it is not contacted", advice)


def _visit(row: HostRow, line: Line) -> Finding:
    user = f"{row.ssh_user}@{row.address}:{row.ssh_port}"
    try:
        done = line.run(row.name, "true")
    except subprocess.TimeoutExpired:
        advice = "is it overloaded or hung? look at its console"
        return problem(CHECK, row.name, f"{user} does not answer in time", advice, ExitCode.UNREACHABLE)
    if done.returncode == 0:
        return fine(CHECK, row.name, f"{user} lets us in")
    if done.returncode != SSH_FAILED:
        message = f"{user} lets us in but runs no command (exit code {done.returncode})"
        return problem(CHECK, row.name, message, "look at the login shell of this user")
    said = [one.strip() for one in done.stderr.splitlines() if one.strip()]
    advice = next((what for words, what in ADVICE if words in done.stderr), "try it: ssh -v to this host")
    last = said[-1] if said else "ssh says nothing"
    return problem(CHECK, row.name, f"{user}: {last}", advice, ExitCode.UNREACHABLE)
