"""A sample of two IDCs in the shape of a real company, of any size; the same seed gives the same file.

``python -m drcloud.cmdb.sample --hosts 300 --seed 1 -o FILE`` writes it as an import file.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from drcloud.cmdb.declared.network import SERVICES

Entry = dict[str, Any]

WIDTH = 118
MOST_HOSTS = 200_000
# Words that need no quotes: no number, no date and none of YAML's own.
PLAIN = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[^\W\d_][\w./:-]*[\w/]|[^\W\d_]", re.IGNORECASE
)
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(/\d+)?")
HEADING = """Two IDCs of an online finance company: {hosts} hosts, made by
  python -m drcloud.cmdb.sample --hosts {hosts} --seed {seed}
For a file to begin your own with, see idc.yml."""

# A room takes a /22 of management addresses and a /22 for the BMCs beside it.
RACK_HOSTS = 16
ROOM_RACKS = 20
FIRST_ADDRESS = 11
SLOT_UNITS = 2
LB_HOSTS = 2500
SHARE_OF_TESTS = 5
LOG_SERVER = "infra-02"
TEAMS = ("支付", "借贷", "账户", "风控", "用户增长", "平台")
OWNERS = ("王磊", "李娜", "张伟", "刘洋", "陈静", "杨帆", "赵敏", "周杰", "吴昊", "徐丽")
SIDES = (("e", "东侧"), ("w", "西侧"))


class Site(NamedTuple):
    """An IDC: its code, its name, and the second octet that its networks begin with."""

    code: str
    name: str
    octet: int


class Job(NamedTuple):
    """What a host is for: the word in its name, its role, its tier, its model, its share of an IDC."""

    word: str
    role: str
    tier: str
    model: str
    share: int


SITES = (Site("sh1", "上海外高桥一号机房", 64), Site("bj1", "北京亦庄一号机房", 80))
JOBS = (
    Job("fe", "docker", "frontend", "R430", 23),
    Job("be", "docker", "backend", "R630", 41),
    Job("co", "docker", "component", "R630", 17),
    Job("db", "database", "database", "R730", 19),
)
MODELS = (("R430", "Dell", 1), ("R630", "Dell", 1), ("R730", "Dell", 2))
# Apps by tier; a larger company has more of the same kind.
APPS = {
    "frontend": ("portal", "mobile-web", "admin", "open-api"),
    "backend": ("account", "payment", "loan", "risk", "message", "report"),
    "component": ("redis", "mongodb", "zookeeper", "rabbitmq"),
}
PORTS = {
    "frontend": 8080,
    "backend": 8090,
    "redis": 6379,
    "mongodb": 27017,
    "zookeeper": 2181,
    "rabbitmq": 5672,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host stands and what it is called there; ``number`` counts the hosts of a room."""

    site: Site
    room: int
    rack: int
    unit: int
    number: int

    @property
    def path(self) -> str:
        """The rack as an import file writes it."""
        return f"{self.site.code}/{room_code(self.room)}/{rack_code(self.rack)}"

    @property
    def address(self) -> str:
        """The management address."""
        return self._address(0)

    @property
    def bmc(self) -> str:
        """The address of the management controller."""
        return self._address(4)

    def _address(self, beside: int) -> str:
        value = FIRST_ADDRESS + self.number
        octets = _network(self.site, self.room)
        return f"{octets[0]}.{octets[1]}.{octets[2] + beside + value // 256}.{value % 256}"


def build(hosts: int = 300, seed: int = 1) -> dict[str, list[Entry]]:
    """Return the sections of an import file with this many hosts."""
    chance = random.Random(seed)  # noqa: S311  (a sample, no secret)
    parts = [_site(site, hosts // 2 + (hosts % 2 if not number else 0)) for number, site in enumerate(SITES)]
    machines = [_host(place, job, name, chance) for part in parts for name, job, place in part]
    apps = list(_apps(hosts))
    return {
        "idcs": [_idc(site, part) for site, part in zip(SITES, parts, strict=True)],
        "environments": [{"name": name} for name in ("develop", "qa", "stage", "prod")],
        "hardware_models": [
            {"name": name, "vendor": vendor, "rack_units": units} for name, vendor, units in MODELS
        ],
        "vlans": [vlan for site, part in zip(SITES, parts, strict=True) for vlan in _vlans(site, part)],
        "firewall_zones": [
            {"name": "management", "description": "运维管理", "allows": list(SERVICES)},
            {"name": "oob", "description": "带外管理"},
        ],
        "prefixes": [one for site, part in zip(SITES, parts, strict=True) for one in _prefixes(site, part)],
        "registries": [_REGISTRY],
        "tags": [
            {"name": "ssd", "description": "固态硬盘"},
            {"name": "pci", "description": "支付合规范围"},
            {"name": "log-server", "description": "集中日志服务器"},
        ],
        "hosts": machines,
        "apps": apps,
        "placements": list(_placements(apps, machines)),
        "schedules": [_SCHEDULE],
    }


_REGISTRY: Entry = {
    "name": "main",
    "host": "sh1-infra-01",
    "username": "drcloud",
    "password": "env:DRCLOUD_REGISTRY_PASSWORD",
    "ca": "file:/etc/ssl/certs/example-ca.pem",
}
_SCHEDULE: Entry = {
    "name": "nightly-compliance",
    "playbook": "dianrong.cloud.compliance",
    "calendar": "*-*-* 02:30:00",
    "inventory": "inventories/idc/idc.cmdb.yml",
}


def room_code(number: int) -> str:
    """Return the code of a room: floor and side."""
    return f"f{number // 2 + 2}{SIDES[number % 2][0]}"


def rack_code(number: int) -> str:
    """Return the code of a rack: row and place."""
    return f"{chr(ord('a') + number // 10)}{number % 10 + 1:02}"


Part = list[tuple[str, Job, Place]]


def _site(site: Site, count: int) -> Part:
    """Return the hosts of an IDC: name, job and place."""
    jobs = list(_jobs(count))
    places = _places(site, count)
    counters: dict[str, int] = {}
    found = []
    for job, place in zip(jobs, places, strict=True):
        counters[job.word] = number = counters.get(job.word, 0) + 1
        width = 2 if job.share == 0 else max(3, len(str(count)))
        found.append((f"{site.code}-{job.word}-{number:0{width}}", job, place))
    return found


def _jobs(count: int) -> Iterator[Job]:
    """Yield the jobs of an IDC, spread evenly so that no rack holds one kind only."""
    pairs = 2 * max(1, -(-count // LB_HOSTS))
    special = [Job("bastion", "bastion", "infra", "R430", 0)] + [
        Job("infra", "infra", "infra", "R630", 0)
    ] * 3
    special += [Job("lb", "lb", "lb", "R630", 0)] * pairs
    special = special[:count]
    yield from special
    due = dict.fromkeys(JOBS, 0.0)
    for _ in range(count - len(special)):
        for job in JOBS:
            due[job] += job.share
        chosen = max(JOBS, key=due.__getitem__)
        due[chosen] -= sum(job.share for job in JOBS)
        yield chosen


def _places(site: Site, count: int) -> Iterator[Place]:
    """Yield places, rack after rack in turn, so that neighbours in the list stand in different racks."""
    racks = max(4, -(-count // RACK_HOSTS))
    rooms = max(2, -(-racks // ROOM_RACKS))
    numbers = [0] * rooms
    for index in range(count):
        rack, level = index % racks, index // racks
        room = rack % rooms
        yield Place(site, room, rack // rooms, 1 + level * SLOT_UNITS, numbers[room])
        numbers[room] += 1


def _network(site: Site, room: int) -> tuple[int, int, int]:
    return 10, site.octet + room // 32, room % 32 * 8


def _rooms(part: Part) -> list[int]:
    return sorted({place.room for _, _, place in part})


def _idc(site: Site, part: Part) -> Entry:
    rooms = []
    for room in _rooms(part):
        racks = sorted({place.rack for _, _, place in part if place.room == room})
        name = f"{room // 2 + 2}楼{SIDES[room % 2][1]}"
        rooms.append({"code": room_code(room), "name": name, "racks": [rack_code(rack) for rack in racks]})
    return {"code": site.code, "name": site.name, "rooms": rooms}


def _vlans(site: Site, part: Part) -> Iterator[Entry]:
    for room in _rooms(part):
        yield {"idc": site.code, "vid": 100 + room, "name": f"mgmt-{room_code(room)}"}
        yield {"idc": site.code, "vid": 1100 + room, "name": f"oob-{room_code(room)}"}


def _prefixes(site: Site, part: Part) -> Iterator[Entry]:
    yield {"cidr": f"10.{site.octet}.0.0/12", "idc": site.code, "aggregate": True, "purpose": "idc"}
    for room in _rooms(part):
        one, two, three = _network(site, room)
        for beside, purpose, zone, first in ((0, "management", "management", 100), (4, "bmc", "oob", 1100)):
            yield {
                "cidr": f"{one}.{two}.{three + beside}.0/22",
                "idc": site.code,
                "vlan": f"{site.code}/{first + room}",
                "zone": zone,
                "purpose": purpose,
            }


def _host(place: Place, job: Job, name: str, chance: random.Random) -> Entry:
    site = place.site.code
    entry: Entry = {
        "name": name,
        "role": job.role,
        "model": job.model,
        "rack": place.path,
        "unit": place.unit,
        "address": place.address,
        "bmc": {"address": place.bmc},
        "ssh": {"user": "dba" if job.role == "database" else "ops"},
        "serial": f"CN{chance.getrandbits(40):010X}",
        "asset_tag": f"IT-{chance.randint(2014, 2016)}-{place.bmc.split('.', 1)[1].replace('.', '-')}",
    }
    if job.role != "bastion":
        entry["ssh"]["via"] = f"{site}-bastion-01"
    if job.role == "docker":
        entry["block_devices"] = [{"serial": f"S3Z{chance.getrandbits(36):09X}", "purpose": "docker-data"}]
    tags = [tag for tag, odds in (("ssd", 0.4), ("pci", 0.15)) if chance.random() < odds]
    tags += ["log-server"] if name == f"{site}-{LOG_SERVER}" else []
    entry |= {"tags": tags} if tags else {}
    owner = {"team": chance.choice(TEAMS), "owner": chance.choice(OWNERS)}
    return entry | {"attrs": {"tier": job.tier, **owner}}


def _apps(hosts: int) -> Iterator[Entry]:
    """Yield apps, a dozen for the first five hundred hosts and more of their kind for more hosts."""
    for generation in range(1, max(1, hosts // 500) + 1):
        for tier, names in APPS.items():
            for name in names:
                app = name if generation == 1 else f"{name}-{generation}"
                yield {
                    "name": app,
                    "spec": {
                        "image": f"dianrong/{app}",
                        "tier": tier,
                        "port": PORTS.get(name) or PORTS[tier],
                    },
                }


def _placements(apps: Sequence[Entry], hosts: Sequence[Entry]) -> Iterator[Entry]:
    """Yield placements: an app's home is one IDC, and the other one tests it on a few hosts."""
    pools: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        pools.setdefault((host["name"].split("-")[0], host["attrs"]["tier"]), []).append(host["name"])
    peers = Counter(app["spec"]["tier"] for app in apps)
    seen: Counter[str] = Counter()
    for number, app in enumerate(apps):
        tier = app["spec"]["tier"]
        turn = Turn(seen[tier] // 2, -(-peers[tier] // 2))
        seen[tier] += 1
        for place, env in enumerate(("prod", "stage", "qa", "develop")):
            site = SITES[(number + (env != "prod")) % len(SITES)].code
            members = turn.members(pools.get((site, tier), []), env)
            balancers = pools.get((site, "lb"), [])
            pair = number % max(1, len(balancers) // 2) * 2
            if members and balancers:
                port = 8000 + number * 4 + place
                yield _placement(app["name"], env, members, balancers[pair : pair + 2], port)


class Turn(NamedTuple):
    """Which hosts of a tier are an app's, when the tier's apps share them."""

    share: int
    shares: int

    def members(self, pool: list[str], env: str) -> list[str]:
        """Return the hosts for an environment; the first fifth of a pool is for tests."""
        tests = max(1, len(pool) // SHARE_OF_TESTS)
        if env == "prod":
            return pool[tests:][self.share :: self.shares]
        return pool[:tests][self.share % tests :: self.shares][:2]


def _placement(app: str, env: str, hosts: list[str], balancers: list[str], port: int) -> Entry:
    roll = {"min_in_service": len(hosts) * 3 // 4, "batch": max(1, len(hosts) // 6)}
    return {"app": app, "env": env, "hosts": hosts, **roll, "lb_port": port, "lbs": balancers}


def text(sections: Mapping[str, Sequence[Entry]], heading: str = "") -> str:
    """Return the sections as the text of an import file, an entry in as few lines as fit."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()] + ["drcloud: 1"]
    for name, entries in sections.items():
        lines += ["", f"{name}:"]
        for entry in entries:
            lines += _entry(entry, "  ")
    return "\n".join(lines) + "\n"


def _entry(entry: Entry, indent: str) -> Iterator[str]:
    """Yield the lines of an entry: flow style, or one field after the other where a field is long."""
    words = [f"{key}: {_flow(value)}" for key, value in entry.items()]
    if max(map(len, words)) < WIDTH:
        yield from _filled("{", words, "}", f"{indent}- ")
        return
    mark = "- "
    for key, value in entry.items():
        if isinstance(value, list) and len(_flow(value)) >= WIDTH:
            nested = isinstance(value[0], dict)
            yield f"{indent}{mark}{key}:"
            for one in value if nested else ():
                yield from _entry(one, f"{indent}    ")
            if not nested:
                yield from _filled("[", [_flow(one) for one in value], "]", f"{indent}    ")
        else:
            yield f"{indent}{mark}{key}: {_flow(value)}"
        mark = "  "


def _filled(begin: str, words: Sequence[str], end: str, indent: str) -> Iterator[str]:
    """Yield words with commas between them, as many on a line as fit."""
    line = f"{indent}{begin}"
    rest = " " * len(line)
    for number, word in enumerate(words):
        last = number == len(words) - 1
        piece = word + (end if last else ",")
        if len(line) + len(piece) > WIDTH and line.strip(" -[{"):
            yield line.rstrip()
            line = rest
        line += piece + ("" if last else " ")
    yield line


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    plain = isinstance(value, str) and (PLAIN.fullmatch(value) or ADDRESS.fullmatch(value))
    return value if plain else json.dumps(value, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sample that the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m drcloud.cmdb.sample", description="A sample of two IDCs."
    )
    parser.add_argument("--hosts", type=int, default=300, help="how many (300)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same file (1)")
    parser.add_argument("-o", "--output", type=Path, help="write to this file")
    given = parser.parse_args(arguments)
    if not 1 <= given.hosts <= MOST_HOSTS:
        parser.error(f"--hosts: between 1 and {MOST_HOSTS}")
    made = text(build(given.hosts, given.seed), HEADING.format(hosts=given.hosts, seed=given.seed))
    if given.output is None:
        sys.stdout.write(made)
    else:
        given.output.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
