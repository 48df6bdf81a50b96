"""The firewall by zones, judged by packets from other hosts, and by what a host does when nobody confirms."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host as Machine

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.lab_slow]
Look = Callable[[str], Machine]
Run = Callable[..., subprocess.CompletedProcess[str]]
HOST = "dk-05"
TABLE = "nft --stateless list table inet drcloud"
DOCKERS = "iptables-save | grep -v -e '^#' | sed 's/\\[[0-9:]*\\]//'"
RECORDED = sorted((Path(__file__).parents[1] / "unit/collection/recorded/firewall").glob("*.nft"))
# What becomes of a connection: "open"; "refused" when it came through and nobody listens; "silent" when it
# was dropped.
PROBE = """\
import socket, sys
for port in sys.argv[2:]:
    try:
        socket.create_connection((sys.argv[1], int(port)), timeout=1.5).close()
        print(port, "open")
    except ConnectionRefusedError:
        print(port, "refused")
    except OSError:
        print(port, "silent")
"""
# An image of nothing but sleep: where nothing listens in a container, its kernel refuses what reaches it.
CONTAINER = (
    "tar --create --dereference --directory / --file - bin/sleep lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/firewall:1 && docker run --detach "
    "--name drc-test-firewall --publish {app}:8080 --publish 9999:8080 drc-test/firewall:1 /bin/sleep 600"
)
# Nothing on an open connection notices: only a new one does.
CUT = 'tcp dport 22 counter drop comment "a mistake"'


@pytest.fixture
def address(provisioned: Lab) -> str:
    """The address of the host."""
    return next(row.address for row in snapshot.read(Store.open()).hosts if row.name == HOST)


@pytest.fixture
def app_port(provisioned: Lab) -> int:
    """A port that the CMDB gave to an app on the host, in the slot that nobody uses."""
    return snapshot.read(Store.open()).placements[0].ports[HOST]["b"]


@pytest.fixture
def reach(machine: Look, address: str) -> Callable[..., dict[int, str]]:
    """Tell what becomes of connections: ``reach("lb-01", 22, 2376)``."""

    def probe(source: str, *ports: int, to: str = address) -> dict[int, str]:
        wanted = " ".join(str(port) for port in ports)
        said = machine(source).check_output("python3 -c %s %s " + wanted, PROBE, to)
        return {int(line.split()[0]): line.split()[1] for line in said.splitlines()}

    return probe


@pytest.fixture
def book(provisioned: Lab, tmp_path: Path) -> str:
    """A playbook of the role alone."""
    path = tmp_path / "firewall.yml"
    role = {"role": "dianrong.cloud.firewall"}
    path.write_text(json.dumps([{"hosts": HOST, "gather_facts": False, "become": True, "roles": [role]}]))
    return str(path)


@pytest.fixture
def firewall(play: Run, book: str) -> Run:
    """Apply the role: ``firewall("--check", firewall_extra_rules=[])``."""

    def apply(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return play(book, "--diff", "--extra-vars", json.dumps(options), *arguments)

    return apply


@pytest.fixture
def container(machine: Look, app_port: int) -> Iterator[str]:
    """A container that publishes an app's port and one that no zone may use; its address."""
    host = machine(HOST)
    host.check_output(CONTAINER.format(app=app_port))
    try:
        yield host.check_output("docker inspect --format '{{.NetworkSettings.IPAddress}}' drc-test-firewall")
    finally:
        host.run("docker rm --force drc-test-firewall; docker rmi drc-test/firewall:1")


def test_each_zone_reaches_what_it_may_and_nothing_else(
    reach: Callable[..., dict[int, str]], container: str, app_port: int
):
    """Balancers use apps, management uses what it manages, neighbours use nothing here."""
    assert reach("lb-01", app_port, 22, 9999) == {app_port: "refused", 22: "silent", 9999: "silent"}
    assert reach("bastion-01", 22, 9999) == {22: "open", 9999: "silent"}
    assert reach("dk-04", app_port, 22, 9999) == {app_port: "silent", 22: "silent", 9999: "silent"}


def test_a_port_that_docker_publishes_is_open_to_all_without_the_firewall(
    machine: Look, reach: Callable[..., dict[int, str]], container: str, app_port: int
):
    """The proof that the firewall is what closes it: Docker itself lets everybody in."""
    host = machine(HOST)
    host.check_output("systemctl stop drcloud-firewall")
    try:
        assert reach("dk-04", app_port, 9999) == {app_port: "refused", 9999: "refused"}
    finally:
        host.check_output("systemctl start drcloud-firewall")
    assert reach("dk-04", app_port, 9999) == {app_port: "silent", 9999: "silent"}


def test_a_neighbour_with_a_route_does_not_reach_a_container_directly(
    machine: Look, reach: Callable[..., dict[int, str]], container: str, address: str
):
    neighbour = machine("dk-04")
    neighbour.check_output(f"ip route add {container}/32 via {address}")
    try:
        assert reach("dk-04", 8080, to=container) == {8080: "silent"}
    finally:
        neighbour.run(f"ip route del {container}/32")


def test_dropped_packets_are_counted(machine: Look, reach: Callable[..., dict[int, str]]):
    host = machine(HOST)
    counted = r'counter packets (\d+) bytes \d+ drop comment "everything else"'
    before = re.search(counted, host.check_output("nft list chain inet drcloud input"))
    reach("dk-04", 22)
    after = re.search(counted, host.check_output("nft list chain inet drcloud input"))
    assert before
    assert after
    assert int(after[1]) > int(before[1])


def test_drift_in_the_table_is_seen_and_put_right_and_other_tables_are_left_alone(
    machine: Look, firewall: Run
):
    host = machine(HOST)
    declared, dockers = host.check_output(TABLE), host.check_output(DOCKERS)
    assert "DOCKER-USER" in dockers
    host.check_output("nft add table inet another && nft add chain inet another mine")
    try:
        host.check_output("nft insert rule inet drcloud input tcp dport 4444 accept")
        host.check_output("nft flush chain inet drcloud containers")
        drifted = host.check_output(TABLE)
        checked = firewall("--check")
        assert "changed=1 " in checked.stdout, checked.stdout
        assert "-\t\ttcp dport 4444 accept" in checked.stdout
        assert host.check_output(TABLE) == drifted
        repaired = firewall()
        assert "changed=1 " in repaired.stdout, repaired.stdout
        assert host.check_output(TABLE) == declared
        other = "".join(host.check_output("nft list table inet another").split())
        assert other == "tableinetanother{chainmine{}}"
        assert host.check_output(DOCKERS) == dockers
    finally:
        host.run("nft delete table inet another")


def test_a_firewall_that_would_lock_the_controller_out_is_refused(machine: Look, firewall: Run, address: str):
    before = machine(HOST).check_output(TABLE)
    refused = firewall(firewall_zones=[{"name": "nobody", "prefixes": ["192.0.2.0/24"], "allows": ["ssh"]}])
    assert refused.returncode != 0
    words = (
        f"the firewall of {address} would lock this controller out: .* is in no zone; declare a zone for it"
    )
    assert re.search(words, refused.stdout), refused.stdout
    assert machine(HOST).check_output(TABLE) == before


def test_rules_that_nftables_refuses_change_nothing(machine: Look, firewall: Run):
    before = machine(HOST).check_output(TABLE)
    refused = firewall(firewall_extra_rules=["tcp dport http accept or not"])
    assert refused.returncode != 0
    assert "nftables refuses the rules, nothing was changed" in refused.stdout
    assert machine(HOST).check_output(TABLE) == before


def test_a_host_that_is_cut_off_comes_back_by_itself(machine: Look, firewall: Run):
    host = machine(HOST)
    before = host.check_output(TABLE)
    cut = firewall(firewall_extra_rules=[CUT], firewall_confirm_within=5)
    assert cut.returncode != 0
    assert "it was not confirmed over a fresh connection within 5 seconds" in cut.stdout
    assert host.check_output(TABLE) == before


def test_the_recorded_tables_are_what_a_real_nftables_takes(machine: Look):
    host = machine(HOST)
    for path in RECORDED:
        # The host's own file would be replaced; a namespace of its own ends with the command.
        said = host.run("unshare --net sh -c %s", f"nft --file - <<'END'\n{path.read_text('utf-8')}END")
        assert said.rc == 0, said.stderr


def test_the_edge_guards_the_load_balancer(reach: Callable[..., dict[int, str]], provisioned: Lab):
    rows = snapshot.read(Store.open())
    balancer = next(row.address for row in rows.hosts if row.name == "lb-02")
    port = rows.placements[0].lb_port
    assert reach("dk-04", port, 8404, 22, to=balancer) == {port: "open", 8404: "silent", 22: "silent"}
    assert reach("lb-01", 8404, to=balancer) == {8404: "open"}


@pytest.fixture
def cut_and_kill(on: Run, lab: Lab, book: str) -> Callable[[int], None]:
    """Have a controller cut the host off, and kill it, with all of its workers, before it can notice."""

    def cut(seconds: int) -> None:
        options = {"firewall_extra_rules": [CUT], "firewall_confirm_within": seconds}
        program = str(Path(sys.executable).parent / "ansible-playbook")
        controller = subprocess.Popen(
            [program, "-i", "inventories/lab/lab.cmdb.yml", book, "--extra-vars", json.dumps(options)],
            cwd=lab.checkout,
            stdout=subprocess.DEVNULL,
        )
        try:
            watch = f"until {TABLE} | grep -q 'a mistake'; do sleep 0.05; done"
            assert on(HOST, f'sudo sh -c "{watch}"').returncode == 0
        finally:
            for pid in [*descendants(controller.pid), controller.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            controller.wait()

    return cut


def descendants(parent: int) -> list[int]:
    """Return the processes below one; Ansible's workers have sessions of their own."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
    rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [parent]
    for pid in found:
        found += [child for child, above in rows if above == pid]
    return found[1:]


def back(on: Run, seconds: float = 60) -> None:
    """Wait until the host lets somebody in again."""
    deadline = time.monotonic() + seconds
    while on(HOST, "true").returncode != 0:
        assert time.monotonic() < deadline, f"{HOST} is still cut off"
        time.sleep(0.3)


@pytest.mark.lab_slow
def test_a_host_whose_controller_was_killed_comes_back_by_itself(
    machine: Look, on: Run, cut_and_kill: Callable[[int], None]
):
    before = machine(HOST).check_output(TABLE)
    cut_and_kill(6)
    back(on)
    assert machine(HOST).check_output(TABLE) == before


@pytest.mark.lab_slow
def test_what_nobody_confirmed_does_not_outlive_a_boot_and_what_was_confirmed_does(
    machine: Look, on: Run, lab: Lab, cut_and_kill: Callable[[int], None]
):
    """The host goes down with a change that waits for its confirmation; it comes up as it was before."""
    before = machine(HOST).check_output(TABLE)
    cut_and_kill(300)
    subprocess.run(["docker", "restart", f"drc-{lab.id}-{HOST}"], check=True, capture_output=True)
    back(on)
    host = machine(HOST)
    host.run("systemctl is-system-running --wait")
    assert host.check_output(TABLE) == before
    assert host.check_output("systemctl is-active drcloud-firewall") == "active"
    network, loaded = (
        host.check_output(f"systemctl show {unit} --property=ActiveEnterTimestampMonotonic --value")
        for unit in ("ssh.service", "drcloud-firewall.service")
    )
    assert int(loaded) < int(network)
