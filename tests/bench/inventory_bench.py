"""What an inventory of a sample IDC costs, as ratios of one run.

Each line is one `ansible all --list-hosts` in a process of its own: CPU seconds (user and system) of the
process and its children, and the most memory it held. Times of two machines do not compare, ratios do.
The floor is the same command with an inventory of nothing: what Ansible costs before the first host. `net` is
the ratio without it, of what the hosts themselves cost, which is all that a small inventory can tell.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fleet
import yaml

from drcloud.cmdb import inventory as model
from drcloud.cmdb import sample, snapshot
from drcloud.cmdb.store import Store

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SIZES = (1_000, 10_000, 50_000)
# Stock Constructable takes minutes for 50,000 hosts, static YAML minutes and gigabytes.
SMALL = 10_000

EXPRESSIONS = """
compose:
  dr_label: dr_idc ~ '/' ~ (dr_attrs.team | default('nobody'))
  dr_has_disk: dr_block_devices | length > 0
  dr_tier: dr_attrs.tier | default('none') | upper
keyed_groups:
  - {prefix: room, key: dr_idc ~ '_' ~ dr_room}
  - {prefix: tier, key: dr_attrs.tier}
  - {prefix: team, key: dr_attrs.team}
  - {prefix: owner, key: dr_attrs.owner}
  - {prefix: user, key: ansible_user}
  - {prefix: model, key: dr_role ~ '_' ~ dr_state, parent_group: models}
"""


@dataclass(frozen=True)
class Way:
    """A way to the same hosts: what it is called, and how its source is written."""

    key: str
    says: str
    write: Callable[[Path], Path]
    largest: int


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    cpu: float
    megabytes: float
    hosts: int


def _source(name: str, text: str) -> Callable[[Path], Path]:
    def write(directory: Path) -> Path:
        path = directory / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _static(directory: Path) -> Path:
    """Write the CMDB's hosts, groups and variables as a plain YAML inventory."""
    found = model.build(snapshot.read(Store.open()))
    groups: dict[str, dict[str, object]] = {name: {} for name in model.names(found.groups)}
    for name, members in found.groups.members.items():
        groups[name]["hosts"] = dict.fromkeys(members)
    for name, children in found.groups.children.items():
        groups[name]["children"] = dict.fromkeys(children)
    path = directory / "static.yml"
    document = {"all": {"hosts": found.hosts, "vars": found.everywhere, "children": groups}}
    text = yaml.dump(document, Dumper=Plain, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


class Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """A dumper that repeats a value where another one would write an alias."""

    def ignore_aliases(self, _data: object) -> bool:
        """Write every value out, as people do."""
        return True


OURS = Way(
    "0", "dianrong.cloud.cmdb", _source("ours.cmdb.yml", f"plugin: dianrong.cloud.cmdb{EXPRESSIONS}"), 10**9
)
# What a process held when it began another counts as the other's (getrusage(2)), and this one has only begun.
LAUNCHER = """
import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
FLOOR = Way("floor", "an empty inventory", _source("empty.yml", "all: {}\n"), 10**9)
WAYS = (
    OURS,
    Way(
        "a",
        "stock Constructable",
        _source("a.bench.yml", f"plugin: bench_public\nstrict: true{EXPRESSIONS}"),
        SMALL,
    ),
    Way("b", "public API, no expressions", _source("b.bench.yml", "plugin: bench_public\n"), 10**9),
    Way("c", "static YAML, no expressions", _static, SMALL),
)


def cmdb(hosts: int) -> str:
    """Return the URL of a CMDB with so many hosts, kept in the user's cache until the schema changes."""
    parts = [
        *sorted((REPOSITORY / "src/drcloud/cmdb/migrations/versions").glob("*.py")),
        Path(sample.__file__),
    ]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in [*parts, Path(fleet.__file__)])).hexdigest()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drcloud" / "bench"
    path = cache / f"{hosts}-{state[:12]}.sqlite3"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        making = path.with_suffix(f".{os.getpid()}")
        fleet.fill(f"sqlite:///{making}", hosts)
        with contextlib.closing(sqlite3.connect(making)) as connection:
            connection.execute("VACUUM INTO ?", [str(path)])
        for leftover in cache.glob(f"{making.name}*"):
            leftover.unlink()
    return f"sqlite:///{path}"


def run(source: Path, url: str) -> Cost:
    """List the hosts of a source and return what that took."""
    environment = os.environ | {
        "DRCLOUD_CMDB_URL": url,
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
        "ANSIBLE_INVENTORY_PLUGINS": str(HERE / "plugins"),
        "ANSIBLE_INVENTORY_ENABLED": "dianrong.cloud.cmdb,bench_public,netbox.netbox.nb_inventory,yaml",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_CONFIG": str(source.parent / "ansible.cfg"),
    }
    program = Path(sys.executable).parent / "ansible"
    command = [sys.executable, "-c", LAUNCHER, program, "all", "--list-hosts", "-i", source]
    ended = subprocess.run(
        command, env=environment, cwd=source.parent, capture_output=True, text=True, check=False
    )
    *said, figures = ended.stderr.strip().splitlines()
    if ended.returncode:
        raise SystemExit(f"{source.name}: ansible failed: {' '.join(said)}")
    cpu, kilobytes = figures.split()
    # The first line counts the others.
    return Cost(float(cpu), int(kilobytes) / 1024, len(ended.stdout.splitlines()) - 1)


def cheapest(way: Way, directory: Path, url: str, repeat: int, hosts: int) -> Cost:
    """Return the cost of a way to so many hosts; of several runs, the cheapest."""
    source = way.write(directory)
    cost = min((run(source, url) for _ in range(repeat)), key=lambda one: one.cpu)
    if cost.hosts != hosts:
        raise SystemExit(f"{way.says}: {cost.hosts} hosts instead of {hosts}")
    return cost


def measure(
    sizes: Sequence[int], full: bool, repeat: int, keys: Sequence[str] = "abc"
) -> dict[int, dict[str, Cost]]:
    """Return the cost of each way at each size, and the floor at size 0."""
    found: dict[int, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "ansible.cfg").touch()
        for hosts in (0, *sizes):
            url = cmdb(hosts or min(sizes))
            os.environ["DRCLOUD_CMDB_URL"] = url
            found[hosts] = {}
            for way in WAYS if hosts else (FLOOR,):
                wanted = way in (OURS, FLOOR) or (way.key in keys and (full or hosts <= way.largest))
                if wanted:
                    cost = cheapest(way, directory, url, repeat if hosts else max(repeat, 3), hosts)
                    found[hosts][way.key] = cost
                    print(_line(hosts, way, cost, found), flush=True)
    return found


HEADING = f"{'hosts':>6}  {'':<30}{'CPU s':>8}{'ours/it':>9}{'net':>7}{'MB':>7}{'ours/it':>9}"


def _line(hosts: int, way: Way, cost: Cost, found: dict[int, dict[str, Cost]]) -> str:
    name = way.says if way in (OURS, FLOOR) else f"({way.key}) {way.says}"
    ratios = ("", "", "")
    if way not in (OURS, FLOOR):
        ours, floor = found[hosts][OURS.key], found[0][FLOOR.key].cpu
        net = (ours.cpu - floor) / (cost.cpu - floor)
        ratios = (f"{ours.cpu / cost.cpu:.2f}", f"{net:.2f}", f"{ours.megabytes / cost.megabytes:.2f}")
    return (
        f"{hosts:>6}  {name:<30}{cost.cpu:>8.1f}{ratios[0]:>9}{ratios[1]:>7}"
        f"{cost.megabytes:>7.0f}{ratios[2]:>9}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", default="abc", choices="abc", help="compare only with these")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="HOSTS")
    parser.add_argument(
        "--full", action="store_true", help="(a) and (c) at all sizes: many minutes, gigabytes"
    )
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, of which the cheapest counts")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args(arguments)
    print("`ansible all --list-hosts`; 3 compose expressions and 6 keyed groups where there are any.")
    print(HEADING)
    found = measure(given.sizes, given.full, given.repeat, given.ways)
    if not given.full and max(given.sizes) > SMALL:
        print(f"(a) and (c) are left out above {SMALL} hosts; --full has them.")
    if given.json:
        figures = {size: {key: vars(cost) for key, cost in ways.items()} for size, ways in found.items()}
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
