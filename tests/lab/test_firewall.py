"""The firewall by zones, judged by packets from other hosts, and by what a host does when nobody confirms."""

from __future__ import annotations

import contextlib
import ipaddress
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

pytestmark = pytest.mark.lab
Look = Callable[[str], Machine]
Run = Callable[..., subprocess.CompletedProcess[str]]
Reach = Callable[..., dict[int, str]]
HOST = "dk-05"
TABLE = "nft --stateless list table inet drcloud"
DOCKERS = "iptables-save | grep -v -e '^#' | sed 's/\\[[0-9:]*\\]//'"
RECORDED = sorted((Path(__file__).parents[1] / "unit/collection/recorded/firewall").glob("*.nft"))
# What becomes of connections: "open"; "refused" when one came through and nobody listens; "silent" when it
# was dropped.
PROBE = """\
import concurrent.futures, socket, sys
def knock(port):
    try:
        socket.create_connection((sys.argv[1], port), timeout=2, source_address=(sys.argv[2], 0)).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
ports = [int(port) for port in sys.argv[3:]]
with concurrent.futures.ThreadPoolExecutor(len(ports)) as pool:
    for port, outcome in zip(ports, pool.map(knock, ports)):
        print(port, outcome)
"""
# One that the lab lets its load balancers use as if an app had it, which no app has.
APP = 20997
REGISTRY, LOG, API = 5000, 20514, 2376
# An image of nothing but sleep: where nothing listens in a container, its kernel refuses what reaches it.
CONTAINER = (
    "tar --create --dereference --directory / --file - bin/sleep lib64/ld-linux-x86-64.so.2 "
    "lib/x86_64-linux-gnu/libc.so.6 | docker import - drc-test/firewall:1 && docker run --detach "
    f"--name drc-test-firewall --publish {APP}:8080 --publish 9999:8080 drc-test/firewall:1 /bin/sleep 600"
)
DEVICE = "import json, sys; print(json.load(sys.stdin)[0]['dev'])"
# Nothing on an open connection notices: only a new one does.
CUT = 'tcp dport 22 counter drop comment "a mistake"'


@pytest.fixture
def address(provisioned: Lab) -> str:
    """The address of the host."""
    return next(row.address for row in snapshot.read(Store.open()).hosts if row.name == HOST)


@pytest.fixture
def reach(machine: Look, address: str) -> Reach:
    """Tell what becomes of connections: ``reach("lb-01", 22, 2376)``."""

    def probe(source: str, *ports: int, to: str = address, by: str = "") -> dict[int, str]:
        wanted = " ".join(str(port) for port in ports)
        said = machine(source).check_output("python3 -c %s %s %s " + wanted, PROBE, to, by)
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
def container(machine: Look) -> Iterator[str]:
    """A container that publishes an app's port and one that no zone may use; its address."""
    host = machine(HOST)
    host.check_output(CONTAINER)
    try:
        yield host.check_output("docker inspect --format '{{.NetworkSettings.IPAddress}}' drc-test-firewall")
    finally:
        host.run("docker rm --force drc-test-firewall; docker rmi drc-test/firewall:1")


def test_each_zone_reaches_what_it_may_and_nothing_else(reach: Reach, container: str):
    """Balancers use apps, management uses what it manages, neighbours nothing but the engine's API."""
    seen = {name: reach(name, 22, API, APP, 9999) for name in ("bastion-01", "lb-01", "dk-04")}
    assert seen == {
        "bastion-01": {22: "open", API: "refused", APP: "refused", 9999: "silent"},
        "lb-01": {22: "silent", API: "silent", APP: "refused", 9999: "silent"},
        "dk-04": {22: "silent", API: "refused", APP: "silent", 9999: "silent"},
    }


@pytest.fixture
def client(machine: Look, address: str) -> Iterator[str]:
    """An address of the clients' zone, on the host for the time of a test."""
    host, found = machine(HOST), str(ipaddress.ip_network(f"{address}/24", strict=False)[100])
    device = host.check_output("ip -json route get 192.0.2.1 | python3 -c %s", DEVICE)
    host.check_output(f"ip address add {found}/32 dev {device}")
    try:
        yield found
    finally:
        host.check_output(f"ip address del {found}/32 dev {device}")


def test_registry_and_log_are_for_hosts_and_not_for_clients(reach: Reach, client: str):
    rows = snapshot.read(Store.open())
    infra, balancer = (next(row for row in rows.hosts if row.name == name) for name in ("infra-01", "lb-01"))
    taken = {REGISTRY: "open", LOG: "open"}
    for name in ("bastion-01", "lb-02", HOST):
        assert reach(name, REGISTRY, LOG, to=infra.address) == taken
    assert reach(HOST, REGISTRY, LOG, to=infra.address, by=client) == dict.fromkeys(taken, "silent")
    # What clients may use answers them, so their address is one that packets come back to.
    port = rows.placements[0].lb_port
    assert reach(HOST, port, LOG, to=balancer.address, by=client) == {port: "open", LOG: "silent"}


def test_docker_lets_everybody_in_where_the_firewall_was_taken_away(
    reach: Reach, container: str, firewall: Run, machine: Look
):
    """The proof that it is the firewall that closes a published port; and that it goes when it is told to."""
    host = machine(HOST)
    before = host.check_output(TABLE)
    gone = firewall(firewall_absent=True)
    try:
        assert gone.returncode == 0, gone.stdout
        assert reach("dk-04", APP, 9999) == {APP: "refused", 9999: "refused"}
    finally:
        back = firewall()
    assert "changed=1 " in back.stdout, back.stdout
    assert host.check_output(TABLE) == before
    assert reach("dk-04", APP, 9999) == {APP: "silent", 9999: "silent"}


def test_a_neighbour_with_a_route_does_not_reach_a_container_directly(
    machine: Look, reach: Reach, container: str, address: str
):
    neighbour = machine("dk-04")
    neighbour.check_output(f"ip route add {container}/32 via {address}")
    try:
        assert reach("dk-04", 8080, to=container) == {8080: "silent"}
    finally:
        neighbour.run(f"ip route del {container}/32")


def test_dropped_packets_are_counted(machine: Look, reach: Reach):
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


NOBODY = {"firewall_zones": [{"name": "nobody", "prefixes": ["192.0.2.0/24"], "allows": ["ssh"]}]}
REFUSED = {
    "would lock this controller out: .* is in no zone; declare a zone for it": NOBODY,
    # An inventory that does not know the zones.
    "no zones are declared, and this host has a firewall": {"firewall_zones": []},
    "nftables refuses the rules, nothing was changed": {
        "firewall_extra_rules": ["tcp dport http accept or not"]
    },
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_makes_no_firewall_is_refused_and_changes_nothing(machine: Look, firewall: Run, words: str):
    before = machine(HOST).check_output(TABLE)
    refused = firewall(**REFUSED[words])
    assert refused.returncode == 2, refused.stdout
    assert re.search(words, refused.stdout), refused.stdout
    assert machine(HOST).check_output(TABLE) == before


def test_a_host_that_is_cut_off_comes_back_by_itself(machine: Look, firewall: Run):
    host = machine(HOST)
    before = host.check_output(TABLE)
    cut = firewall(firewall_extra_rules=[CUT], firewall_confirm_within=10)
    assert cut.returncode != 0
    assert "it was not confirmed over a fresh connection within 10 seconds" in cut.stdout
    assert host.check_output(TABLE) == before


def test_the_recorded_tables_are_what_a_real_nftables_takes(machine: Look):
    host = machine(HOST)
    for path in RECORDED:
        # The host's own file would be replaced; a namespace of its own ends with the command.
        said = host.run("unshare --net sh -c %s", f"nft --file - <<'END'\n{path.read_text('utf-8')}END")
        assert said.rc == 0, said.stderr


def test_the_edge_guards_the_load_balancer(reach: Reach, provisioned: Lab):
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
