"""What provision does: nothing twice, nothing in a check, what the check said, and nothing to strangers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from drcloud.cmdb import leases, lookup, snapshot
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode
from drcloud.lab import status
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
RECAP = re.compile(r"^(?P<host>[\w-]+)\s+: (?P<counts>.*changed=.*)$", re.MULTILINE)
INVENTORY = "inventories/lab/lab.cmdb.yml"
PROVISION = "dianrong.cloud.provision"
SITE = "playbooks/provision.yml"
# Task results of a run that has nothing to do, at most: each costs a round trip or a part of one.
# The bastion is the first of the hosts here, so what is done once for all of them counts as its own.
RESULTS = {"docker": 40, "infra": 40, "lb": 36, "bastion": 30}


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """Return the counts of each host."""
    rows = {match["host"]: match["counts"] for match in RECAP.finditer(done.stdout)}
    return {host: {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", counts)} for host, counts in rows.items()}


def changed_tasks(done: subprocess.CompletedProcess[str], host: str) -> list[str]:
    """Return the tasks that changed a host, from the JSON of a run."""
    document = json.loads(done.stdout[done.stdout.index("{") :])
    return [
        task["task"]["name"]
        for play in document["plays"]
        for task in play["tasks"]
        if task["hosts"].get(host, {}).get("changed")
    ]


@pytest.fixture
def fresh(request: pytest.FixtureRequest, provisioned: Lab, play: Run) -> Iterator[str]:
    """A host that was reinstalled: new disk, new SSH host keys. In service again when the test ends."""
    name: str = request.param
    container = next(host.container for host in status.read(provisioned).hosts if host.name == name)
    assert container == "running"
    subprocess.run(
        ["docker", "rm", "--force", "--volumes", f"{provisioned.name}-{name}"],
        check=True,
        capture_output=True,
    )
    up = subprocess.run(
        [sys.executable, "-m", "drcloud", "lab", "up"], check=False, capture_output=True, text=True
    )
    assert up.returncode == 0, f"{up.stdout}\n{up.stderr}"
    close_connections(provisioned)
    yield name
    if state(name) != "active":
        forget(name)
        done = play(SITE, "--limit", name)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def state(name: str) -> str:
    """Return the state of a host."""
    return next(row.state for row in snapshot.read(Store.open()).hosts if row.name == name)


def close_connections(lab: Lab) -> None:
    """End ssh's standing connections, for they were checked when they were opened."""
    directory = Path(os.environ.get("ANSIBLE_HOME", Path.home() / ".ansible")) / "cp"
    for socket in directory.glob("*"):
        command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            # Nobody listens there any more: what a killed connection left.
            socket.unlink(missing_ok=True)
    deadline = time.monotonic() + 20
    while left := list(directory.glob("*")):
        assert time.monotonic() < deadline, f"still standing: {left}"
        time.sleep(0.05)


def until_free(lock: str) -> None:
    """Wait until nobody holds a lock: what a killed run left behind acts for a while."""
    deadline = time.monotonic() + 120
    while holders := [lease.holder for lease in leases.held(Store.open()) if lease.name == lock]:
        assert time.monotonic() < deadline, f"{lock} is still held by {holders}"
        time.sleep(0.2)


def forget(name: str) -> None:
    """Say in the CMDB that a host was reinstalled: what an operator does after looking at the machine."""
    with Store.open().write(reason="reinstalled") as session:
        row = lookup.host(session, name)
        row.keys.clear()
        if row.state == "active":
            row.state = "maintenance"
            session.flush()
        row.state = "provisioning"


def test_a_second_run_changes_nothing(provisioned: Lab, play: Run):
    seq = Store.open().declared_seq()
    done = play("playbooks/provision.yml")
    assert done.returncode == 0, done.stdout
    counts = recap(done)
    assert {host for host in counts if host != "localhost"} == {
        row.name for row in status.read(provisioned).hosts
    }
    assert {host: row["changed"] for host, row in counts.items() if row["changed"]} == {}
    assert Store.open().declared_seq() == seq
    roles = {row.name: row.role for row in snapshot.read(Store.open()).hosts}
    results = {host: row["ok"] + row["skipped"] for host, row in counts.items() if host in roles}
    assert {host: count for host, count in results.items() if count > RESULTS[roles[host]]} == {}
    # The run's heartbeat gives its locks back a moment after it; without that they would last 30 seconds.
    deadline = time.monotonic() + 20
    while held := leases.held(Store.open()):
        assert time.monotonic() < deadline, held
        time.sleep(0.05)


@pytest.mark.parametrize(
    "fresh",
    [
        # Debian 13; then bridges, disks, a load balancer, and the registry with the log server.
        "dk-06",
        pytest.param("dk-02", marks=pytest.mark.lab_slow),
        pytest.param("dk-03", marks=pytest.mark.lab_slow),
        pytest.param("lb-02", marks=pytest.mark.lab_slow),
        pytest.param("infra-01", marks=pytest.mark.lab_slow),
    ],
    indirect=True,
)
def test_a_check_on_a_fresh_host_tells_what_the_run_then_does(
    fresh: str, play: Run, monkeypatch: pytest.MonkeyPatch
):
    """The whole life of a reinstalled host: refused, accepted by an operator, foretold, provisioned."""
    refused = play(SITE, "--limit", fresh)
    assert refused.returncode == 4
    assert recap(refused)[fresh]["unreachable"] == 1
    assert "host key" in refused.stdout.lower()

    forget(fresh)
    seq = Store.open().declared_seq()
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")
    foretold = play(SITE, "--limit", fresh, "--check", "--diff")
    assert foretold.returncode == 0, foretold.stdout
    assert Store.open().declared_seq() == seq
    assert fresh not in {row.host for row in snapshot.read(Store.open()).host_keys}

    done = play(SITE, "--limit", fresh)
    assert done.returncode == 0, done.stdout
    assert changed_tasks(done, fresh) == changed_tasks(foretold, fresh)
    assert changed_tasks(done, fresh) != []

    again = play(SITE, "--limit", fresh)
    assert changed_tasks(again, fresh) == []


def test_a_run_that_is_killed_is_completed_by_the_next(machine: Callable, provisioned: Lab, play: Run):
    host = machine("dk-05")
    host.check_output(
        "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes purge python3-docker python3-requests"
    )
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        INVENTORY,
        PROVISION,
        "--limit",
        "dk-05",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=provisioned.checkout) as process:
        deadline = time.monotonic() + 120
        while not host.run("pgrep apt-get").succeeded and time.monotonic() < deadline:
            time.sleep(0.2)
        process.kill()
    until_free("host:dk-05")
    done = play(PROVISION, "--limit", "dk-05")
    assert done.returncode == 0, done.stdout
    assert host.package("python3-docker").is_installed
    assert not host.file("/usr/sbin/policy-rc.d").exists


DRIFT = {
    # By hand on the host -> the task that repairs it.
    "sed -i s/journald/json-file/ /etc/docker/daemon.json": "Configure the engine and have it run with that",
    "chmod 0644 /etc/drcloud/docker/config.json": "Give the engine access to its registries",
    "sysctl -q -w net.core.somaxconn=128": "Set the kernel",
    "rm /etc/security/limits.d/60-drcloud.conf": "Write the baseline's files, and keep the time",
    "systemctl disable --quiet chrony": "Write the baseline's files, and keep the time",
    "echo '# by hand' >> /etc/drcloud/log-client/rsyslog.conf": "Have the journal forwarded",
    "nft delete table inet drcloud": "Let each zone use what it may, and nothing else",
}
# What a check shows of it: a file, a unit that is not enabled, and one that restarts for its file.
SHOWN = (
    '"after_header": "/etc/security/limits.d/60-drcloud.conf"',
    '"after_header": "chrony.service"',
    '"after_header": "/etc/drcloud/log-client/rsyslog.conf"',
    '"after_header": "rsyslog.service"',
)


def test_drift_is_listed_by_a_check_and_repaired_by_a_run(
    machine: Callable, play: Run, monkeypatch: pytest.MonkeyPatch
):
    host = machine("dk-05")
    for command in DRIFT:
        host.check_output(command)
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")
    foretold = play(PROVISION, "--limit", "dk-05", "--check", "--diff")
    # JSON in JSON: the file's own quotes are escaped.
    assert r"\"log-driver\": \"journald\"" in foretold.stdout
    assert "# mode: 0644" in foretold.stdout
    assert "json-file" in host.file("/etc/docker/daemon.json").content_string
    listed = {name.rpartition(" : ")[2] for name in changed_tasks(foretold, "dk-05")}
    assert listed == set(DRIFT.values())
    assert [text for text in SHOWN if text not in foretold.stdout] == []
    done = play(PROVISION, "--limit", "dk-05")
    assert changed_tasks(done, "dk-05") == changed_tasks(foretold, "dk-05")
    assert host.file("/etc/drcloud/docker/config.json").mode == 0o600
    assert host.check_output("docker info --format '{{.LoggingDriver}}'") == "journald"
    assert changed_tasks(play(PROVISION, "--limit", "dk-05", "--check"), "dk-05") == []


def test_a_host_that_another_run_holds_is_left_alone(provisioned: Lab, play: Run):
    """The refusal names the holder and has its own exit code; a check changes nothing, so it may look."""
    store = Store.open()
    leases.acquire(store, [("host:dk-05", False)], holder="r-1", purpose="deploy", ttl=timedelta(minutes=5))
    try:
        command = [sys.executable, "-m", "drcloud", "run", PROVISION, "--limit", "dk-04,dk-05"]
        refused = subprocess.run(command, check=False, capture_output=True, text=True)
        assert refused.returncode == ExitCode.LOCKED, refused.stdout
        assert "host:dk-05 is locked by r-1 for deploy since" in " ".join(refused.stdout.split())
        # All or none: dk-04 is not held either.
        assert [lease.name for lease in leases.held(store)] == ["host:dk-05"]
        looked = play(PROVISION, "--limit", "dk-05", "--check")
        assert looked.returncode == 0, looked.stdout
    finally:
        leases.release(store, "r-1")


def test_an_option_that_the_engine_does_not_know_is_refused_by_name(machine: Callable, play: Run):
    host = machine("dk-05")
    before = host.file("/etc/docker/daemon.json").content_string
    extra = json.dumps({"docker_engine_extra_options": {"live-restor": True}})
    done = play(PROVISION, "--limit", "dk-05", "-e", extra)
    assert done.returncode == 2
    assert "option 'live-restor' is not known to Docker Engine 20.10" in done.stdout
    assert host.file("/etc/docker/daemon.json").content_string == before


@pytest.mark.lab_slow
def test_an_option_for_which_a_reload_is_enough_does_not_restart_the_engine(machine: Callable, play: Run):
    host = machine("dk-05")
    started = "systemctl show docker --property ActiveEnterTimestamp"
    debug = "docker info --format '{{.Debug}}'"
    before = host.check_output(started)
    extra = json.dumps({"docker_engine_extra_options": {"debug": True}})
    done = play(PROVISION, "--limit", "dk-05", "-e", extra)
    try:
        assert done.returncode == 0, done.stdout
        assert host.check_output(debug) == "true"
        assert host.check_output(started) == before
    finally:
        # The engine forgets an option that is gone only when it restarts: the plan knows.
        back = play(PROVISION, "--limit", "dk-05")
    assert recap(back)["dk-05"]["changed"] == 1
    assert host.check_output(debug) == "false"


def test_an_engine_that_cannot_start_gets_its_old_file_back(machine: Callable, play: Run):
    host = machine("dk-05")
    before = host.file("/etc/docker/daemon.json").content_string
    extra = json.dumps({"docker_engine_extra_options": {"storage-driver": "no-such-driver"}})
    done = play(PROVISION, "--limit", "dk-05", "-e", extra)
    assert done.returncode == 2
    assert "the old file is back, and the engine runs with it" in done.stdout
    assert host.file("/etc/docker/daemon.json").content_string == before
    assert host.service("docker").is_running


@pytest.mark.lab_slow
def test_a_host_that_does_not_answer_stops_nobody_else(provisioned: Lab, play: Run):
    container = f"{provisioned.name}-dk-04"
    close_connections(provisioned)
    subprocess.run(["docker", "pause", container], check=True, capture_output=True)
    try:
        done = play(PROVISION, "--limit", "dk-04,dk-05", "--timeout", "20")
    finally:
        subprocess.run(["docker", "unpause", container], check=True, capture_output=True)
    assert done.returncode == 4
    assert recap(done)["dk-04"]["unreachable"] == 1
    assert recap(done)["dk-05"]["failed"] == 0
    assert recap(done)["dk-05"]["ok"] > 5


def test_nothing_matched_is_a_failure(provisioned: Lab, play: Run):
    done = play(PROVISION, "--limit", "no-such-host")
    assert done.returncode == 1
    assert "no hosts" in (done.stdout + done.stderr).lower()
