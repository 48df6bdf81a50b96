"""Import documents of any small IDC: valid, and otherwise as odd as names and values may be."""

from __future__ import annotations

from random import Random
from typing import Any

WORDS = ("a", "0", "老机器", "x-1", "y_2", "z.3", "NULL", "true", "1e5", "éß")
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1.5,
    "",
    " x ",
    "a: b",
    "{{ 1 }}",
    [],
    [1, "二"],
    {"k": {"n": None}},
)
STATES = ("planned", "provisioning", "active", "maintenance", "quarantined", "retired")

Entry = dict[str, Any]


def idc_file(random: Random) -> Entry:
    """Return a document that uses its own objects only."""
    content: Entry = {"drcloud": 1}
    _places(random, content)
    _networks(random, content)
    _hosts(random, content)
    _apps(random, content)
    _balancing(random, content)
    _control(random, content)
    return content


def _attrs(random: Random, entry: Entry) -> Entry:
    if random.random() < 0.3:
        entry["attrs"] = {random.choice(WORDS): random.choice(VALUES) for _ in range(random.randrange(1, 3))}
    return entry


def _maybe(random: Random, entry: Entry, **fields: Any) -> Entry:
    """Add some of the fields, and free ones."""
    return _attrs(random, entry | {name: value for name, value in fields.items() if random.random() < 0.5})


def _places(random: Random, content: Entry) -> None:
    racks = [code if random.random() < 0.5 else _maybe(random, {"code": code}, units=48) for code in "ab"]
    rooms = [_maybe(random, {"code": "r1", "racks": racks}, name="东侧"), {"code": "r2"}]
    content["idcs"] = [
        _maybe(random, {"code": "i1", "rooms": rooms}, name="北京"),
        _maybe(random, {"code": "i2"}),
    ]
    content["hardware_models"] = [
        _maybe(random, {"name": f"M {units}/U", "rack_units": units}, vendor="浪潮") for units in (1, 2, 4)
    ]


def _networks(random: Random, content: Entry) -> None:
    content["vrfs"] = [_maybe(random, {"name": name}, description="d") for name in ("blue", "oob")]
    content["vlans"] = [_maybe(random, {"idc": "i1", "vid": vid}, name="v") for vid in (1, 4094)]
    content["firewall_zones"] = [
        _maybe(random, {"name": "dmz"}, description="外", allows=["ssh", "lb_admin"])
    ]
    content["prefixes"] = [
        _maybe(
            random,
            {"cidr": cidr, **vrf, **whole},
            idc="i1",
            vlan="i1/1",
            zone="dmz",
            purpose=random.choice("ab"),
        )
        for vrf in ({}, {"vrf": "blue"})
        for cidr, whole in (
            ("10.0.0.0/8", {"aggregate": True}),
            ("10.1.0.0/16", {"aggregate": True}),
            ("10.1.0.0/24", {}),
            ("10.1.1.0/24", {}),
            ("fd00::/64", {}),
        )
    ]
    random.shuffle(content["prefixes"])
    content["addresses"] = [
        _attrs(random, {"address": f"10.1.1.{n}", "purpose": "vip", **vrf})
        for n in (1, 2)
        for vrf in ({}, {"vrf": "blue"})
    ]


def _hosts(random: Random, content: Entry) -> None:
    content["tags"] = [_maybe(random, {"name": name}, description="d") for name in ("gpu", "a/b", "老")]
    hosts = [_host(random, number) for number in range(random.randrange(2, 6))]
    free = {"a": 1, "b": 1}
    for host in hosts:
        if random.random() < 0.7:
            _stand(random, host, free)
    content["hosts"] = hosts
    content["registries"] = [
        _maybe(random, {"name": "main", "endpoint": "r:5000"}, username="u", password="env:P", ca="file:/ca")
    ]


def _host(random: Random, number: int) -> Entry:
    vrf = random.choice(["", "@blue"])
    host = {
        "name": f"h-{number}",
        "role": random.choice(["docker", "lb"]) if number > 1 else ("docker", "lb")[number],
        "address": random.choice([f"10.1.0.{10 + number}{vrf}", None])
        if number > 1
        else f"10.1.0.{10 + number}",
    }
    nics = [
        _maybe(random, {"name": name}, mac=f"02:00:00:00:0{number}:0{port}", speed_mbps=1000)
        for port, name in enumerate(("bond0", "Ethernet1/1"))
    ]
    further = [
        _maybe(random, {"address": f"fd00::{number}:{n}", "purpose": "service"}, nic="bond0", vrf="blue")
        for n in range(random.randrange(3))
    ]
    bmc = _maybe(random, {"address": f"10.1.0.{100 + number}@blue"}, type="ipmi", credential="file:/c")
    disks = [
        _attrs(random, {"purpose": "spare", "path": f"/dev/sd{number}"}),
        _maybe(random, {"purpose": "raw", "serial": f"S{number}"}, path="/dev/x", wwn=f"w{number}"),
        _maybe(
            random,
            {"purpose": "app-volume", "path": "/dev/y"},
            filesystem="xfs",
            mount="/srv/a@b",
            uuid=f"00000000-0000-0000-0000-00000000000{number}",
            app="demo",
        ),
    ]
    bridges = [
        _maybe(random, {"name": "docker0", "mode": "nat"}, containers="10.64.0.0/16", length=20),
        _maybe(
            random,
            {"name": "br0", "mode": "uplink", "nic": "bond0", "containers": "10.65.0.0/16"},
            mtu=9000,
            ipv6="fd00:1::/64",
        ),
    ]
    host = _maybe(
        random,
        host,
        state=random.choice(STATES),
        nics=nics,
        bmc=bmc,
        addresses=further,
        block_devices=disks,
        bridges=bridges,
        host_keys={"ssh-rsa": "R", "ssh-ed25519": "E"},
        tags=random.sample(["gpu", "a/b", "老"], 2),
        ssh={"user": "ops", **({"via": "h-0"} if number else {"port": 23})},
        serial=f"SN {number}",
        asset_tag=f"资产{number}",
    )
    if "nics" in host and host["address"] and random.random() < 0.5:
        host["nic"] = "Ethernet1/1"
    if "nics" not in host:
        for address in host.get("addresses", ()):
            address.pop("nic", None)
    return host


def _stand(random: Random, host: Entry, free: dict[str, int]) -> None:
    code, height = random.choice("ab"), random.choice([1, 2, 4])
    host["rack"] = f"i1/r1/{code}"
    if random.random() < 0.5:
        host |= {"model": f"M {height}/U", "unit": free[code]}
    elif random.random() < 0.7:
        host["units"] = [free[code], free[code] + 2][: random.randrange(1, 3)]
    free[code] += 4


def _apps(random: Random, content: Entry) -> None:
    content["environments"] = [_maybe(random, {"name": "prod"}, change_required=True), {"name": "qa"}]
    spec = {"image": "a/b", "port": 80, "env": {"K": random.choice(["", "值"])}}
    present = random.randrange(1, 4)
    content["apps"] = [_attrs(random, {"name": "demo", "spec": spec, "spec_version": present})]
    content["app_spec_versions"] = [
        _attrs(random, {"app": "demo", "number": number, "document": {**spec, "port": number}})
        for number in (1, 2, 3)
        if number != present and random.random() < 0.5
    ]
    content["app_configs"] = [
        _attrs(
            random, {"app": "demo", "env": env, "number": number, "document": {"k": random.choice(VALUES)}}
        )
        for env in ("prod", "qa")
        for number in (1, 3)
    ]
    hosts = {
        role: [one["name"] for one in content["hosts"] if one["role"] == role] for role in ("docker", "lb")
    }
    placed = {"app": "demo", "env": "prod", "hosts": hosts["docker"]}
    lbs = {"lbs": hosts["lb"], "lb_port": 8080} if random.random() < 0.5 else {}
    content["placements"] = [_maybe(random, placed | lbs, min_in_service=1, batch=random.choice([3, "25%"]))]
    digests = [f"sha256:{digit * 64}" for digit in "ab"]
    content["releases"] = [
        _maybe(random, {"app": "demo", "tag": "rt:67", "digest": digest}, git_ref="v1", build="7")
        for digest in digests
    ]
    content["channels"] = [
        _attrs(random, {"app": "demo", "tag": "prod", "release": "rt:67", "digest": random.choice(digests)})
    ]
    content["allocations"] = [
        _attrs(random, {"pool": "vni", "owner": f"o/{value}", "value": value}) for value in range(2)
    ]


def _balancing(random: Random, content: Entry) -> None:
    lbs = [one["name"] for one in content["hosts"] if one["role"] == "lb"]
    content["vips"] = [
        _maybe(
            random, {"name": "one", "address": "10.1.1.1", "vrrp_id": 51}, lbs=random.sample(lbs, len(lbs))
        ),
        _maybe(random, {"name": "two", "address": "10.1.1.1@blue"}, vrrp_id=51),
    ]
    content["certificates"] = [
        _maybe(
            random,
            {
                "name": "c",
                "subject": "CN=å",
                "issuer": "CN=b",
                "fingerprint": "0" * 64,
                "not_after": _time(random),
            },
            private_key="file:/key",
            pem="file:/pem",
            host="h-0",
            purpose="ca",
        )
    ]
    mode = random.choice(["tcp", "http"])
    content["lb_pools"] = [
        _maybe(random, {"name": f"p{port}", "vip": "one", "port": port, "mode": mode}, placement="demo@prod")
        for port in (80, 443)
    ]
    content["lb_pools"][1]["certificate"] = "c"


def _time(random: Random, year: int = 2027) -> str:
    zone = random.choice(["Z", "+08:00", "-03:30"])
    return f"{year}-0{random.randrange(1, 9)}-1{random.randrange(9)}T23:59:00{zone}"


def _control(random: Random, content: Entry) -> None:
    window = {"window_start": _time(random), "window_end": _time(random, 2028)}
    states = ("draft", "approved", "open", "closed", "cancelled")
    content["changes"] = [
        _maybe(
            random,
            {"ticket": f"CHG-{number}", **(window if random.random() < 0.5 else {})},
            title="升级",
            state=random.choice(states),
            scope={"environment": ["prod"], "host": ["h-*", "老?"]},
        )
        for number in range(3)
    ]
    content["waivers"] = [
        _maybe(
            random,
            {
                "name": "w",
                "control": "c-1",
                "owner": "王五",
                "reason": "r",
                "ticket": "T",
                "expires_at": _time(random),
            },
            object="h-1/*",
        )
    ]
    content["schedules"] = [
        _maybe(random, {"name": "nightly", "playbook": "p.yml", "calendar": "*-*-* 02:30:00"}, inventory="i")
    ]
