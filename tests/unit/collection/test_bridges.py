"""The plan of a host's bridges: each file of ``bridges/`` is one case, on the network that was recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.dianrong.cloud.plugins.module_utils import _bridges, _links, _network_undo, _uplink
from ansible_collections.dianrong.cloud.plugins.module_utils._bridges import BRIDGE, LABEL, MTU

HERE = Path(__file__).parent
CASES = sorted((HERE / "bridges").glob("*.yml"))
OPTIONS = dict.fromkeys(("nic", "slice", "gateway", "mtu", "ipv6"))
RECORDED = json.loads((HERE / "recorded/ip-host.json").read_text("utf-8"))
NAT = {f"{BRIDGE}.name": "apps", f"{BRIDGE}.enable_icc": "true"}
SUBNET = ({"Subnet": "172.29.4.0/24", "Gateway": "172.29.4.1"},)
SUBNET6 = {"Subnet": "fd00:172:29::/64", "Gateway": "fd00:172:29::1"}
UPLINK = {
    f"{BRIDGE}.name": "br0",
    f"{BRIDGE}.inhibit_ipv4": "true",
    f"{BRIDGE}.enable_ip_masquerade": "false",
    f"{BRIDGE}.enable_icc": "true",
    MTU: "1500",
}
SLICE = {"Subnet": "10.90.0.0/24", "IPRange": "10.90.0.128/28", "Gateway": "10.90.0.1"}
NETWORKS = {
    "uplink": _bridges.Network("br0", "bridge", UPLINK, {LABEL: "uplink"}, (SLICE,)),
    "nat": _bridges.Network("apps", "bridge", NAT, {LABEL: "nat"}, SUBNET),
    "nat_mtu": _bridges.Network("apps", "bridge", {**NAT, MTU: "1400"}, {LABEL: "nat"}, SUBNET),
    "nat_ipv6": _bridges.Network("apps", "bridge", NAT, {LABEL: "nat"}, (*SUBNET, SUBNET6), ipv6=True),
    "foreign": _bridges.Network("legacy", "bridge", {}, {}, ({"Subnet": "172.29.0.0/16"},)),
    "foreign_bridge": _bridges.Network("shop", "bridge", {f"{_bridges.BRIDGE}.name": "shop"}, {}, SUBNET),
    "overlay": _bridges.Network("mesh", "overlay"),
}


def links(routes=()):
    return _links.parse(RECORDED["addresses"], [*RECORDED["routes"], *routes], RECORDED["routes6"])


def host_of(case):
    found = links(case.get("routes", ()))
    networks = [NETWORKS[name] for name in case.get("networks", ())]
    if case.get("users"):
        networks = [_bridges.Network(**{**vars(one), "users": tuple(case["users"])}) for one in networks]
    taken = {case["taken"]: _uplink.take(found, "eth0")} if case.get("taken") else {}
    return _bridges.Host(found, taken, tuple(networks), case.get("swarm", False), case.get("managers", {}))


def planned(case):
    wishes = [_bridges.wish({**OPTIONS, **one}) for one in case.get("bridges", ())]
    return _bridges.plan(wishes, case.get("absent", []), host_of(case))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan(path):
    case = yaml.safe_load(path.read_text("utf-8"))
    if "error" in case:
        with pytest.raises(_bridges.BridgeError, match=case["error"]):
            planned(case)
        return
    plan, expected = planned(case), case["expect"]
    steps = (plan.raise_, plan.release, plan.remove, tuple(network.name for network in plan.create))
    assert steps == tuple(tuple(expected.get(name, ())) for name in ("raise", "release", "remove", "create"))
    if "uplink" in expected:
        facts = _bridges.facts(host_of(case), plan.uplinks, plan.create)
        assert facts["uplinks"]["br0"] == {"nic": "eth0", **expected["uplink"]}
    if "subnets" in expected:
        assert [dict(one) for one in plan.create[0].subnets] == expected["subnets"]
    if "options" in expected:
        assert plan.create[0].options == expected["options"]


def test_a_record_says_what_was_taken():
    taken = _uplink.take(links(), "eth0")
    assert _uplink.load(_uplink.dump(taken)) == taken


def test_an_address_with_a_peer_cannot_be_taken_over():
    """The kernel's route to the peer goes with it, and then the router has none either."""
    shown = json.loads(json.dumps(RECORDED["addresses"]))
    entry = next(entry for entry in shown if entry["ifname"] == "eth0")
    entry["addr_info"][0].update(address="10.90.0.1", prefixlen=32)
    found = _links.parse(shown, RECORDED["routes"], RECORDED["routes6"])
    given = {"name": "br0", "mode": "uplink", "nic": "eth0", "slice": "10.90.0.128/28"}
    with pytest.raises(_bridges.BridgeError, match=r"the address 10.90.0.12/32 with the peer 10.90.0.1, "):
        _bridges.plan([_bridges.wish({**OPTIONS, **given})], [], _bridges.Host(found))


def test_what_a_takeover_leaves_is_the_wanted_state():
    """The recorded host after the script: eth0 bare in br0, br0 with all that it carries."""
    uplink = _uplink.wanted("br0", _uplink.take(links(), "eth0"))
    addresses = json.loads(json.dumps(RECORDED["addresses"]).replace('"eth0"', '"br0"'))
    bridge = next(entry for entry in addresses if entry["ifname"] == "br0")
    nic = next(entry for entry in RECORDED["addresses"] if entry["ifname"] == "eth0")
    addresses.append({**nic, "addr_info": [], "master": "br0"})
    routes, routes6 = (
        json.loads(json.dumps(RECORDED[name]).replace('"eth0"', '"br0"')) for name in ("routes", "routes6")
    )
    assert _uplink.stands(_links.parse(addresses, routes, routes6), uplink)
    bridge["address"] = "02:00:00:00:00:01"
    assert not _uplink.stands(_links.parse(addresses, routes, routes6), uplink)


@pytest.mark.parametrize("name", ["uplink_takes_over", "uplink_removed", "uplink_slice_changes"])
def test_undo_and_scripts_are_shell(name):
    case = yaml.safe_load((HERE / f"bridges/{name}.yml").read_text("utf-8"))
    plan = planned(case)
    texts = [_uplink.script(uplink) for uplink in plan.uplinks]
    texts.append(_network_undo.script(plan, host_of(case), [], {}))
    for text in texts:
        done = subprocess.run(["/bin/sh", "-n"], input=text, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def undo_of(name, enabled=False):
    case = yaml.safe_load((HERE / f"bridges/{name}.yml").read_text("utf-8"))
    return _network_undo.script(planned(case), host_of(case), [], {"br0": enabled})


class Console:
    """Runs an undo with programs that note what they are asked, and do what a test gives them to do."""

    def __init__(self, place, monkeypatch):
        self.place = place
        for name in ("PLACE", "UNITS"):
            monkeypatch.setattr(_uplink, name, str(place / name))
        (place / "UNITS/multi-user.target.wants").mkdir(parents=True)
        (place / "PLACE").mkdir()
        (place / "PLACE/br0.sh").write_text("echo br0.sh >> notes\n")
        for program in ("ip", "iptables", "systemctl", "docker"):
            self.program(program, "")
        self.program("timeout", 'shift\nexec "$@"')

    def program(self, name, answer):
        path = self.place / "bin" / name
        path.parent.mkdir(exist_ok=True)
        note = f"echo {name} $* >> notes\n" if name != "timeout" else ""
        path.write_text(f"#!/bin/sh\n{note}{answer}\n")
        path.chmod(0o755)

    def run(self, text, reason="timer"):
        """Return the exit code and what was asked, in order."""
        environment = {"PATH": f"{self.place / 'bin'}:/usr/bin:/bin"}
        done = subprocess.run(
            ["/bin/sh", "-c", text, "undo", reason], cwd=self.place, env=environment, check=False
        )
        notes = self.place / "notes"
        return done.returncode, notes.read_text().splitlines() if notes.exists() else []


@pytest.fixture
def console(tmp_path, monkeypatch):
    return Console(tmp_path, monkeypatch)


BACK = [
    "ip link set dev eth0 nomaster",
    "ip link delete dev br0",
    "ip link set dev eth0 mtu 1500 up",
    "ip -4 address flush dev eth0",
    "ip address replace 10.90.0.12/24 dev eth0 broadcast +",
    "ip address replace fd00:90::12/64 dev eth0 nodad",
    "ip -4 route replace 0.0.0.0/0 via 10.90.0.1 dev eth0",
    "ip -4 route replace 172.30.0.0/16 via 10.90.0.3 dev eth0 metric 50",
    "ip -6 route replace ::/0 via fd00:90::1 dev eth0 metric 1024",
]


def test_the_undo_of_a_first_takeover_gives_everything_back(console):
    wish = console.place / "UNITS/multi-user.target.wants/drcloud-bridge-br0.service"
    wish.touch()
    code, notes = console.run(undo_of("uplink_takes_over"))
    assert code == 0
    assert [note for note in notes if note.startswith("ip ") and "show" not in note] == BACK
    assert "docker network rm br0" in notes
    assert not wish.exists()


def test_the_undo_gives_the_network_back_before_anything_that_may_hang_or_fail(console):
    """Neither a stuck engine nor a busy systemd nor a lock of iptables keeps a host cut off."""
    for program in ("systemctl", "docker", "iptables"):
        console.program(program, "exit 1")
    code, notes = console.run(undo_of("uplink_takes_over"))
    assert code == 0
    last = notes.index(BACK[-1])
    assert not [note for note in notes[:last] if not note.startswith("ip ")]
    assert {note.split()[0] for note in notes[last + 1 :]} == {"iptables", "systemctl", "docker"}
    lines = undo_of("uplink_takes_over").splitlines()
    assert not [line for line in lines if line.startswith(("systemctl", "docker")) or "iptables -w -" in line]


def test_a_step_of_the_undo_that_fails_does_not_hold_up_the_others(console):
    console.program("ip", 'case "$*" in *172.30.0.0*) exit 2;; esac')
    code, notes = console.run(undo_of("uplink_takes_over"))
    assert code == 1
    assert [note for note in notes if note.startswith("ip ") and "show" not in note] == BACK


def test_the_undo_at_boot_puts_files_back_and_touches_no_link(console):
    assert console.run(undo_of("uplink_takes_over"), "boot") == (0, [])


def test_the_undo_of_a_later_change_runs_what_was_there(console):
    wish = console.place / "UNITS/multi-user.target.wants/drcloud-bridge-br0.service"
    code, notes = console.run(undo_of("uplink_slice_changes", enabled=True))
    assert code == 0
    assert notes[0] == "br0.sh"
    assert wish.is_symlink()


def test_a_bridge_that_a_boot_did_not_know_any_more_is_started_by_its_undo(console):
    """Systemd computed the boot when the unit was gone; the undo puts it back in the middle of it."""
    code, notes = console.run(undo_of("uplink_removed", enabled=True), "boot")
    assert (code, notes) == (
        0,
        ["systemctl daemon-reload", "systemctl --no-block start drcloud-bridge-br0.service"],
    )


def test_a_network_that_was_replaced_comes_back_with_the_undo(console):
    code, notes = console.run(undo_of("uplink_slice_changes", enabled=True))
    assert code == 0
    options = [f"--opt {key}={value}" for key, value in sorted(UPLINK.items())]
    assert notes[-2:] == [
        "docker network rm br0",
        "docker network create --driver bridge --subnet 10.90.0.0/24 --ip-range 10.90.0.128/28 "
        f"--gateway 10.90.0.1 {' '.join(options)} --label {LABEL}=uplink br0",
    ]


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ("-N DOCKER-USER\n-A DOCKER-USER -j DRCLOUD-br1\n-A DOCKER-USER -j RETURN\n", True),
        ("-N DOCKER-USER\n-A DOCKER-USER -j DRCLOUD-br10\n", False),
        ("", False),
    ],
)
def test_whether_the_chain_of_a_bridge_is_asked(rules, asked):
    assert _uplink.passes("br1", rules) is asked


def test_an_uplink_lets_the_other_networks_to_the_wire_but_not_to_its_containers():
    case = {"bridges": [{"name": "br0", "mode": "uplink", "nic": "eth0", "slice": "10.90.0.128/28"}]}
    case["bridges"].append({"name": "apps", "mode": "nat"})
    text = _uplink.script(planned(case).uplinks[0])
    for link in ("docker0", "br-+", "apps"):
        assert f"iptables -w -A DRCLOUD-br0 -i {link} -o br0 ! -d 10.90.0.128/28 -j ACCEPT" in text


@pytest.mark.parametrize(
    ("networkd", "network_manager", "watcher"),
    [
        ("ADMIN_STATE=configured\n", "", "networkd"),
        ("ADMIN_STATE=unmanaged\n", "", "plain"),
        ("", "[device]\nmanaged=true\n", "NetworkManager"),
        ("", "[device]\nmanaged=false\n", "plain"),
        ("", "", "plain"),
    ],
)
def test_who_watches_an_interface(monkeypatch, tmp_path, networkd, network_manager, watcher):
    link = links().links["eth0"]
    for name, text in (("NETWORKD", networkd), ("NETWORK_MANAGER", network_manager)):
        place = tmp_path / name
        place.mkdir()
        if text:
            (place / str(link.index)).write_text(text)
        monkeypatch.setattr(_links, name, str(place))
    assert _links.manager(link) == watcher
