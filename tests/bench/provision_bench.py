"""What it costs to provision the lab's hosts, against a plain playbook that does the same.

Boots a lab of its own, fresh for each turn and with the packages fetched, plays `dianrong.cloud.provision` or
`plain_provision.yml` on it, and once more for the run that has nothing to do. With two rounds the order is
ours, plain, plain, ours, so that what the machine does meanwhile hits both; the cheapest run of each counts.
CPU seconds are the controller's (user and system, of ansible-playbook and its children) and those of all
hosts, which are on this machine too. `results` are a host's task results as the recap counts them, `modules`
what was carried out for it, each turn of a loop for itself; both are means. Times of two machines do not
compare, ratios do; what else the machine does meanwhile is in the seconds, and not in those of CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import provision_lab
from provision_lab import HERE, REPOSITORY, BenchLab, Cost

LOGS = REPOSITORY / "artifacts"
# At most so much of the plain playbook's seconds.
GOALS = {"first": 0.7, "no-op": 1 / 3}
Roles = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Way:
    """A playbook that provisions the hosts."""

    key: str
    says: str
    playbook: str


OURS = Way("ours", "dianrong.cloud.provision", "dianrong.cloud.provision")
PLAIN = Way("plain", "plain playbook", str(HERE / "plain_provision.yml"))


@dataclass(frozen=True)
class Turn:
    """Both runs of one playbook on one fresh lab, and how it left the hosts."""

    way: Way
    runs: dict[str, Cost]
    state: dict[str, frozenset[str]]


MEASURES: dict[str, Callable[[Cost], float]] = {
    "seconds": lambda cost: cost.seconds,
    "CPU s": lambda cost: cost.cpu,
    "hosts' s": lambda cost: cost.far_cpu,
    "results": lambda cost: average(cost, "results"),
    "modules": lambda cost: average(cost, "modules"),
}
HEADING = f"{'run':<7}{'':<26}" + "".join(f"{name:>9}{'ours/it':>9}" for name in MEASURES)


def average(cost: Cost, count: str, names: Sequence[str] | None = None) -> float:
    """Return a count's mean over hosts."""
    return mean(cost.hosts[name][count] for name in names or cost.hosts)


def take_turn(bench: BenchLab, way: Way, number: int) -> Turn:
    """Play a playbook twice on a fresh lab."""
    print(f"{time.strftime('%H:%M:%S')} a fresh lab for {way.says}", file=sys.stderr, flush=True)
    bench.renew()
    bench.fetch_packages()
    if way is PLAIN:
        # Ours does that itself, and on the clock.
        bench.pin()
    runs = {}
    for kind in GOALS:
        runs[kind] = bench.play(way.playbook, LOGS / f"bench-provision-{number}-{way.key}-{kind}.log")
        print(line(kind, way, runs[kind]), flush=True)
    return Turn(way, runs, bench.state())


def line(kind: str, way: Way, cost: Cost, ours: Cost | None = None) -> str:
    """Return a line of the table; with our cost of the same run, its ratios."""
    cells = [f"{kind:<7}{way.says:<26}"]
    for measure in MEASURES.values():
        ratio = f"{measure(ours) / measure(cost):.2f}" if ours else ""
        cells.append(f"{measure(cost):>9.1f}{ratio:>9}")
    return "".join(cells).rstrip()


def cheapest(turns: Sequence[Turn], way: Way, kind: str) -> Cost:
    """Return the shortest time and the least CPU of a kind of run; the counts are those of the last."""
    costs = [turn.runs[kind] for turn in turns if turn.way is way]
    least = [min(figures) for figures in zip(*((c.seconds, c.cpu, c.far_cpu) for c in costs), strict=True)]
    return Cost(*least, costs[-1].hosts)


def table(turns: Sequence[Turn]) -> list[str]:
    """Return the cheapest runs with their ratios, and how far the goals are."""
    lines, goals = [HEADING], []
    for kind, goal in GOALS.items():
        ours, plain = cheapest(turns, OURS, kind), cheapest(turns, PLAIN, kind)
        lines += [line(kind, OURS, ours), line(kind, PLAIN, plain, ours)]
        ratio = ours.seconds / plain.seconds
        word = "reached" if ratio <= goal else "missed"
        goals.append(f"The {kind} run takes {ratio:.2f} of the seconds; goal {goal:.2f}: {word}.")
    return [*lines, "", *goals]


def by_role(turns: Sequence[Turn], roles: Roles) -> list[str]:
    """Return what a run that has nothing to do costs a host of each role."""
    lines = [f"{'no-op run, a host':<24}{'results':>9}{'plain':>9}{'modules':>9}{'plain':>9}"]
    costs = [cheapest(turns, way, "no-op") for way in (OURS, PLAIN)]
    for role, names in sorted(roles.items()):
        counts = [average(cost, count, names) for count in ("results", "modules") for cost in costs]
        lines.append(f"{role:<24}" + "".join(f"{count:>9.1f}" for count in counts))
    return lines


def differences(turns: Sequence[Turn]) -> list[str]:
    """Return what is not the same on the hosts after the last turn of each playbook."""
    ours, plain = (next(turn.state for turn in reversed(turns) if turn.way is way) for way in (OURS, PLAIN))
    found = []
    for host in sorted(ours):
        found += [f"  {host}, only after {OURS.says}: {one}" for one in sorted(ours[host] - plain[host])]
        found += [f"  {host}, only after the {PLAIN.says}: {one}" for one in sorted(plain[host] - ours[host])]
    return ["The hosts do not end the same:", *found] if found else ["The hosts end the same."]


def order(rounds: int) -> list[Way]:
    """Return whose turn it is: ours, plain, plain, ours and so on."""
    return [way for number in range(rounds) for way in ((OURS, PLAIN), (PLAIN, OURS))[number % 2]]


def report(turns: Sequence[Turn], roles: Roles) -> bool:
    """Print what was measured; return whether the second runs had nothing to do."""
    if {turn.way for turn in turns} == {OURS, PLAIN}:
        print("", *table(turns), "", *by_role(turns, roles), "", *differences(turns), sep="\n")
    again = [f"  {turn.way.says}, {one}" for turn in turns for one in turn.runs["no-op"].changes]
    if again:
        print("", "What should have had nothing to do changed:", *again, sep="\n")
    return not again


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; about times nothing is asserted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="turns of each, of about ten minutes")
    parser.add_argument("--only", choices=[OURS.key, PLAIN.key], help="one of them alone, to look at it")
    parser.add_argument(
        "--hosts", type=lambda names: names.split(","), default=[], help="these alone, by comma"
    )
    parser.add_argument("--keep", action="store_true", help="leave the last turn's lab")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_args(arguments)
    bench, turns = BenchLab(provision_lab.own(), given.hosts), []
    which = ", ".join(given.hosts) or "All hosts"
    print(f"{which} of lab {bench.lab.id} from bare to in service; load {os.getloadavg()[0]:.1f} before.")
    print(HEADING.replace("ours/it", "       ").rstrip(), flush=True)
    ways = [way for way in order(given.rounds) if given.only in (None, way.key)]
    with provision_lab.removed(bench, given.keep):
        turns += [take_turn(bench, way, number) for number, way in enumerate(ways, start=1)]
    roles: dict[str, list[str]] = {}
    for host in bench.hosts:
        roles.setdefault(host["role"], []).append(host["name"])
    good = report(turns, roles)
    if given.json:
        figures = [
            {"playbook": turn.way.key, "runs": {kind: asdict(cost) for kind, cost in turn.runs.items()}}
            for turn in turns
        ]
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
