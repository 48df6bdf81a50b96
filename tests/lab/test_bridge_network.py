"""Bridges on a real host: containers on the wire, and a host that comes back by itself from any change."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from testinfra.host import Host as Machine

from drcloud.cmdb import snapshot
from drcloud.cmdb.declared import Prefix
from drcloud.cmdb.store import Store
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Look = Callable[[str], Machine]
Run = Callable[..., subprocess.CompletedProcess[str]]
# The bastion may open every port; the host of the registry answers, but is no router (see the test).
HOST, CLIENT, NO_ROUTER = "dk-02", "bastion-01", "infra-01"
CONVERGE = "molecule/bridge_network/converge.yml"
GUARD = "/var/lib/drcloud/guard/network"
IPV6 = "fd00:d0c:6::/64"
UPLINK = {"name": "br0", "mode": "uplink", "nic": "eth0"}
# A container with the host's own programs: nothing is pulled.
SERVE = (
    "tar --create --files-from /dev/null | docker import - drc-test/empty:1 && "
    "docker run --detach --name {name} {options} --volume /usr:/usr:ro --volume /usr/lib:/lib:ro "
    "--volume /usr/lib64:/lib64:ro drc-test/empty:1 /usr/bin/python3 -m http.server 8080"
)


class Site:
    """The host under test, and the role that is run on it."""

    def __init__(self, play: Run, machine: Look, lab: Lab) -> None:
        self.play = play
        self.lab = lab
        self.machine = machine
        rows = {row.name: row for row in snapshot.read(Store.open()).hosts}
        self.address = rows[HOST].address
        self.bastion = rows[CLIENT].address
        self.no_router = rows[NO_ROUTER].address
        self.network = ipaddress.ip_network(f"{self.address}/24", strict=False)
        self.router = str(self.network[1])
        self.slice = f"{self.network[128]}/28"
        self.aggregate = f"{self.network[128]}/25"
        self.container = f"drc-{lab.id}-{HOST}"
        self.disturbed = False

    @property
    def host(self) -> Machine:
        return self.machine(HOST)

    def arguments(self, *bridges: dict[str, Any], **variables: Any) -> tuple[str, ...]:
        given = {"bridge_network_bridges": list(bridges)} if bridges or variables else {}
        given |= {f"bridge_network_{name}": value for name, value in variables.items()}
        return ("--limit", HOST, "--extra-vars", json.dumps(given))

    def converge(self, *bridges: dict[str, Any], **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the role with these bridges, or with those that the CMDB declares."""
        return self.play(CONVERGE, *self.arguments(*bridges, **variables), timeout=240)

    def uplink(self, **changes: Any) -> dict[str, Any]:
        return {**UPLINK, "slice": self.slice, **changes}

    def links(self) -> dict[str, list[str]]:
        """Return the IPv4 addresses of each interface that has one."""
        shown = json.loads(self.host.check_output("ip -json -4 address show"))
        return {entry["ifname"]: [one["local"] for one in entry["addr_info"]] for entry in shown if entry}

    def outcome(self) -> str:
        return self.host.check_output(f"cat {GUARD}/settled/outcome")

    def plain(self) -> bool:
        """Whether the interface has its address itself, and the router it came with."""
        routes = json.loads(self.host.check_output("ip -json route show default"))
        way = [(route["dev"], route["gateway"]) for route in routes]
        return self.address in self.links().get("eth0", []) and way == [("eth0", self.router)]

    def outside(self, *command: str) -> list[str]:
        """Return a command that runs on the host, without its network."""
        return ["docker", "exec", self.container, *command]


@pytest.fixture(scope="module")
def site(play: Run, machine: Look, provisioned: Lab) -> Iterator[Site]:
    """The host with the bridges that the CMDB declares, before and after."""
    found = Site(play, machine, provisioned)
    yield found
    if found.disturbed:
        done = found.converge()
        assert done.returncode == 0, done.stdout


@pytest.fixture
def unbridged(site: Site) -> Site:
    """The host as it was before any takeover."""
    site.disturbed = True
    done = site.converge(absent=["br0"])
    assert done.returncode == 0, done.stdout
    assert site.plain()
    return site


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[..., None]]:
    """Start web servers in containers on the host; they are gone afterwards."""
    names: list[str] = []

    def start(name: str, options: str) -> None:
        names.append(name)
        site.host.check_output(SERVE.format(name=name, options=options))

    yield start
    for name in names:
        site.host.run(f"docker rm --force {name}")
    site.host.run("docker image rm drc-test/empty:1")


def fetched(machine: Machine, address: str, port: int = 8080) -> bool:
    """Whether the web server at an address answers within some seconds of its start."""
    program = (
        "import sys, time, urllib.request\n"
        "end = time.monotonic() + 60\n"
        "while time.monotonic() < end:\n"
        "    try:\n"
        f"        sys.exit(urllib.request.urlopen('http://{address}:{port}/', timeout=2).status != 200)\n"
        "    except OSError:\n"
        "        time.sleep(0.1)\n"
        "sys.exit(1)\n"
    )
    return machine.run("python3 -c %s", program).rc == 0


def test_a_container_on_an_uplink_is_a_neighbour_on_the_wire(site: Site, machine: Look, serve) -> None:
    host, other = site.host, machine(CLIENT)
    serve("drc-test-web", "--network br0")
    inspected = json.loads(host.check_output("docker inspect drc-test-web"))[0]
    address = inspected["NetworkSettings"]["Networks"]["br0"]["IPAddress"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(site.slice)
    assert fetched(other, address)
    # It sees who asks: nobody translated an address.
    deadline = time.monotonic() + 30
    # By way of the journal, which has it a moment later.
    while f"{site.bastion} - - " not in (said := host.check_output("docker logs drc-test-web 2>&1")):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
    done = site.converge(absent=["br0"])
    assert done.returncode == 2
    assert "it has the containers drc-test-web: remove or move them first" in done.stdout
    assert fetched(other, address)


@pytest.mark.parametrize("network", ["apps", "bridge"])
def test_other_networks_have_published_ports_and_the_way_out(
    site: Site, machine: Look, serve, network: str
) -> None:
    """Docker isolates its networks from each other; the uplink is one of them, and the wire as well."""
    serve("drc-test-nat", f"--network {network} --publish 18080:8080")
    assert fetched(machine(CLIENT), str(site.address), 18080)
    server, port = snapshot.read(Store.open()).registries[0].endpoint.split(":")
    program = f"import socket; socket.create_connection(('{server}', {port}), 5)"
    assert site.host.run("docker exec drc-test-nat /usr/bin/python3 -c %s", program).rc == 0
    # What the operator has in DOCKER-USER stays, and comes first.
    rules = site.host.check_output("iptables -S DOCKER-USER").splitlines()
    assert rules[-2:] == ["-A DOCKER-USER -j DRCLOUD-br0", "-A DOCKER-USER -j RETURN"]


@pytest.mark.lab_slow
def test_a_bridge_with_ipv6_and_an_mtu_of_its_own(site: Site, serve) -> None:
    site.disturbed = True
    bridge = {"name": "six", "mode": "nat", "ipv6": IPV6, "mtu": 1400}
    try:
        done = site.converge(bridge)
        assert done.returncode == 0, done.stdout
        assert "changed=0" in site.converge(bridge).stdout
        serve("drc-test-six", "--network six")
        inspected = json.loads(site.host.check_output("docker inspect drc-test-six"))[0]
        seen = inspected["NetworkSettings"]["Networks"]["six"]
        address, network = ipaddress.ip_address(seen["GlobalIPv6Address"]), ipaddress.ip_network(IPV6)
        assert address in network
        assert ipaddress.ip_address(seen["IPv6Gateway"]) == network[1]
        inside = "docker exec drc-test-six cat /sys/class/net/eth0/mtu"
        assert site.host.check_output(inside) == "1400"
        serve6 = "docker exec --detach drc-test-six /usr/bin/python3 -m http.server --bind :: 8081"
        site.host.check_output(serve6)
        assert fetched(site.host, f"[{address}]", 8081)
        site.host.check_output("docker rm --force drc-test-six")
    finally:
        done = site.converge(absent=["six"])
    assert done.returncode == 0, done.stdout
    assert "six" not in site.host.check_output("docker network ls --format '{{.Name}}'").splitlines()


def test_what_is_so_already_stays(site: Site) -> None:
    done = site.converge()
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout


def test_nothing_reaches_loopback_addresses_from_the_wire(site: Site) -> None:
    assert site.host.check_output("cat /proc/sys/net/ipv4/conf/br0/route_localnet") == "1"
    rules = site.host.check_output("iptables -t raw -S PREROUTING")
    assert rules.count("-A PREROUTING -d 127.0.0.0/8 -i br0 -j DROP") == 1


def prefixes() -> set[str]:
    """Return all networks that the CMDB has, the reserved ones of containers among them."""
    with Store.open().read() as session:
        return set(session.scalars(select(Prefix.cidr)))


def test_bad_input_is_refused_before_anything_changes(site: Site, tmp_path: Path) -> None:
    before, reserved = site.links(), prefixes()
    absent = {"name": "br1", "mode": "uplink", "nic": "eno1", "containers": site.aggregate, "length": 30}
    refused = {
        f"the subnet {site.network} collides with the host's route {site.network} dev br0": {
            "name": "more",
            "mode": "nat",
            "slice": str(site.network),
        },
        "there is no interface eno1 on this host; it has": absent,
        "eth0 takes an MTU of 68 to 65535 bytes, not 70000": site.uplink(mtu=70000),
    }
    bridge = {"dianrong.cloud.bridge_network": {"bridges": ["{{ item }}"]}, "ignore_errors": True}
    tasks = [
        {**bridge, "loop": list(refused.values()), "register": "refused"},
        {"ansible.builtin.fail": {"msg": "{{ refused.results | map(attribute='msg') | join(' | ') }}"}},
    ]
    book = tmp_path / "refused.yml"
    book.write_text(json.dumps([{"hosts": HOST, "become": True, "gather_facts": False, "tasks": tasks}]))
    done = site.play(str(book), timeout=240)
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    assert [words for words in refused if words not in said] == []
    assert "changed=0" in said
    assert site.links() == before
    # Nor are there addresses reserved for a bridge that cannot be.
    assert prefixes() == reserved


def descendants(pid: int) -> list[int]:
    """Return a process and all that came from it, the deepest last."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    found = [pid]
    for one in found:
        found += [int(child) for child, parent in pairs if int(parent) == one]
    return found


def killed_while_armed(site: Site, *arguments: str) -> None:
    """Start the role, and kill the controller with all its processes once the host's guard is armed."""
    waiting = site.outside("timeout", "120", "sh", "-c", f"until [ -d {GUARD}/armed ]; do :; done")
    program = Path(sys.executable).parent / "ansible-playbook"
    with subprocess.Popen(waiting) as armed:
        command = [str(program), "-i", "inventories/lab/lab.cmdb.yml", CONVERGE, *arguments]
        controller = subprocess.Popen(
            command, cwd=site.lab.checkout, start_new_session=True, stdout=subprocess.DEVNULL
        )
        assert armed.wait() == 0
        for pid in descendants(controller.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert controller.wait(10) == -signal.SIGKILL


def wait_until(site: Site, test: str, seconds: float) -> None:
    """Wait until a shell test holds on the host, seen from outside of its network."""
    script = f"until {test}; do sleep 0.2; done"
    subprocess.run(site.outside("timeout", str(seconds), "sh", "-c", script), check=True)


def reboot(site: Site) -> None:
    """Restart the host as a power cycle would, and wait until its boot is complete."""
    subprocess.run(["docker", "restart", "--time", "30", site.container], check=True, capture_output=True)
    wait_until(site, "systemctl is-active --quiet ssh docker", 60)
    deadline = time.monotonic() + 60
    while site.machine(CLIENT).run(f"ssh-keyscan -T 2 {site.address}").stdout == "":
        assert time.monotonic() < deadline, "no SSH after the restart"


@pytest.mark.lab_slow
def test_a_router_that_is_not_there_is_undone_at_once(unbridged: Site) -> None:
    site = unbridged
    done = site.converge(site.uplink(gateway=str(site.network[77])))
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    assert f"the router {site.network[77]} does not answer there" in said
    assert "the host has the network back that it had before" in said
    assert site.plain()
    assert site.outcome() == "reverted"


@pytest.fixture
def behind_its_router(unbridged: Site, machine: Look) -> Iterator[Site]:
    """The host, with its way to the bastion through the router; and a neighbour that forwards nothing."""
    site, forwarding = unbridged, "/proc/sys/net/ipv4/conf/eth0/forwarding"
    neighbour = machine(NO_ROUTER)
    before = neighbour.check_output(f"cat {forwarding}")
    neighbour.check_output(f"echo 0 > {forwarding}")
    site.host.check_output(f"ip route add {site.bastion}/32 via {site.router} dev eth0")
    yield site
    site.host.run(f"ip route delete {site.bastion}/32")
    neighbour.check_output(f"echo {before} > {forwarding}")


@pytest.mark.lab_slow
def test_a_wrong_router_cuts_the_host_off_and_it_comes_back(behind_its_router: Site) -> None:
    site = behind_its_router
    done = site.converge(site.uplink(gateway=str(site.no_router)), seconds=15)
    assert done.returncode == 2
    said = " ".join(done.stdout.split())
    assert "not confirmed over a fresh connection within 15 seconds, and the host has undone it" in said
    assert site.plain()
    assert site.outcome() == "reverted"
    assert not site.host.file("/etc/drcloud/network/br0.sh").exists


@pytest.mark.lab_slow
def test_without_its_controller_the_host_takes_the_change_back(unbridged: Site) -> None:
    site = unbridged
    killed_while_armed(site, *site.arguments(site.uplink(), seconds=10))
    wait_until(site, f"[ ! -d {GUARD}/armed ] && [ ! -d {GUARD}/firing ]", 120)
    assert site.outcome() == "reverted"
    assert site.plain()


@pytest.mark.lab_slow
def test_a_change_that_nobody_confirmed_does_not_survive_a_boot(unbridged: Site) -> None:
    site = unbridged
    killed_while_armed(site, *site.arguments(site.uplink(), seconds=600))
    wait_until(site, f"[ ! -e {GUARD}/armed/applying ]", 60)
    reboot(site)
    assert site.outcome() == "reverted"
    assert site.plain()


@pytest.mark.lab_slow
def test_a_bridge_whose_removal_nobody_confirmed_is_back_after_a_boot(site: Site) -> None:
    """Its unit was gone when systemd computed the boot; the undo starts it."""
    site.disturbed = True
    assert site.converge().returncode == 0
    killed_while_armed(site, *site.arguments(absent=["br0"], seconds=600))
    wait_until(site, f"[ ! -e {GUARD}/armed/applying ]", 60)
    assert site.plain()
    reboot(site)
    assert site.outcome() == "reverted"
    assert site.links()["br0"] == [site.address]
    assert "eth0" not in site.links()
    # Its Docker network went before the engine did; the next run makes it again, on the bridge that is there.
    done = site.converge()
    assert done.returncode == 0, done.stdout
    assert site.host.run("docker network inspect br0").rc == 0
    assert "changed=0" in site.converge().stdout


@pytest.mark.lab_slow
def test_two_runs_at_once_end_with_one_change(unbridged: Site) -> None:
    site = unbridged
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(site.converge, site.uplink()) for _ in range(2)]
        done = [run.result() for run in runs]
    # Whoever comes second waits for the first and finds nothing to do, or is told to come again.
    assert 0 in [run.returncode for run in done]
    for run in done:
        assert run.returncode == 0 or "another change is not settled yet" in run.stdout
    assert site.outcome() == "confirmed"
    assert site.links()["br0"] == [site.address]


@pytest.mark.lab_slow
def test_bridge_and_containers_are_back_after_a_boot(site: Site, machine: Look, serve) -> None:
    assert site.converge().returncode == 0
    serve("drc-test-web", "--network br0 --restart always")
    inspected = json.loads(site.host.check_output("docker inspect drc-test-web"))[0]
    address = inspected["NetworkSettings"]["Networks"]["br0"]["IPAddress"]
    reboot(site)
    assert site.links()["br0"] == [site.address]
    assert "eth0" not in site.links()
    assert fetched(machine(CLIENT), address)
    assert "changed=0" in site.converge().stdout
