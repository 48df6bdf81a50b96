"""What a roll over the lab's hosts costs, against the same one by community modules, and by Kamal.

Boots a lab of its own, provisions it, and rolls the demo app from one tag to the other: by
`dianrong.cloud.deploy`; by `plain_roll.yml`, in the same batches and behind the same load balancers; and by
Kamal (kamal_roll.py says what that leaves out). The cheapest of each counts. Health waits are taken off:
for ours what the app's specification asks for (`min_healthy`, once a batch), for the plain one the seconds
of its task that waits, for Kamal nothing. CPU seconds are the controller's. Nobody sends requests
meanwhile. Times of two machines do not compare, ratios do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kamal_roll import Kamal
from provision_lab import HERE, INVENTORY, REPOSITORY, BenchLab, connections, own, program, removed, timed
from sqlalchemy import select

from drcloud.cmdb import snapshot
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.delivery import status

TAGS = ("b1", "b2")
KAMAL_TAGS = ("k1", "k2")
LOGS = REPOSITORY / "artifacts"
# At most so much of the plain playbook's seconds, and of Kamal's.
GOALS = (0.5, 1.0)
WAYS = ("dianrong.cloud.deploy", "community.docker + haproxy", "kamal, no load balancer")
WAITING = re.compile(r"^Until it is healthy -+ ([0-9.]+)s$", re.MULTILINE)


@dataclass(frozen=True)
class Roll:
    """One roll: all its seconds, those of them that waited for health, and the controller's CPU."""

    seconds: float
    waited: float
    cpu: float

    @property
    def net(self) -> float:
        """The seconds that are not the app's."""
        return self.seconds - self.waited


class Bench:
    """The app on the lab, and two ways to roll it."""

    def __init__(self, bench: BenchLab) -> None:
        """Take a lab that is up and declared."""
        self._bench = bench
        self._store = Store.open(bench.lab.cmdb_url)

    def prepare(self) -> None:
        """Provision the hosts, build both tags, and run each of them once: images are on the hosts then."""
        self._play(["playbooks/provision.yml"], "provision")
        for tag in TAGS:
            self._bench.drcloud("build", "demo", "--tag", tag, "--source", str(REPOSITORY / "apps/demo"))
        for tag in reversed(TAGS):
            self.ours(tag)

    def ours(self, tag: str) -> Roll:
        """Roll by drCloud's own playbook."""
        words = ["-e", "app=demo", "-e", "env=prod", "-e", f"tag={tag}"]
        seconds, cpu, _said = self._play(["dianrong.cloud.deploy", *words], f"ours-{tag}")
        return Roll(seconds, self._min_healthy() * len(self._batches()), cpu)

    def plain(self, tag: str) -> Roll:
        """Roll by the plain playbook, and undo that off the clock."""
        given = ["-e", json.dumps(self._rows(tag))]
        seconds, cpu, said = self._play([str(HERE / "plain_roll.yml"), *given], f"plain-{tag}")
        waits = WAITING.findall(said)
        if not waits:
            raise SystemExit("profile_tasks did not tell how long the plain roll waited for health")
        self._play([str(HERE / "plain_roll_back.yml"), *given], "plain-back")
        return Roll(seconds, sum(map(float, waits)), cpu)

    def kamal(self, folder: Path) -> Kamal:
        """Return Kamal on the same hosts, as many at a time, both of its tags run once."""
        seen = snapshot.read(self._store)
        placement = next(row for row in seen.placements if (row.app, row.env) == ("demo", "prod"))
        endpoint = seen.registries[0].endpoint
        found = Kamal(self._bench, folder, str(endpoint), placement.hosts)
        found.prepare(KAMAL_TAGS, max(self._batches()))
        for tag in KAMAL_TAGS:
            found.roll(tag)
        return found

    def _rows(self, tag: str) -> dict[str, Any]:
        """Return what each host runs and where the other one goes."""
        seen = snapshot.read(self._store)
        placement = next(row for row in seen.placements if (row.app, row.env) == ("demo", "prod"))
        with self._store.read() as session:
            found = select(Deployment).where(Deployment.tag == tag).order_by(Deployment.id.desc()).limit(1)
            digest = session.scalars(found).one().digest
        rows = {}
        for row in status.read(self._store, "demo", "prod"):
            assert row.seen is not None
            other = "b" if row.seen.slot == "a" else "a"
            name = f"demo_prod_{row.seen.slot}_{row.seen.revision[:8]}"
            port = placement.ports[row.host][other]
            rows[row.host] = {
                "now": {"slot": row.seen.slot, "name": name},
                "next": {"slot": other, "port": port},
            }
        image = f"{seen.registries[0].endpoint}/dianrong/demo@{digest}"
        return {"image": image, "rows": rows, "lbs": list(placement.lbs), "batches": self._batches()}

    def _batches(self) -> list[int]:
        """Return the batches of the last deployment that rolled something."""
        with self._store.read() as session:
            rows = session.scalars(select(Deployment).order_by(Deployment.id.desc()))
            return next(list(row.plan["serial"]) for row in rows if row.plan.get("serial"))

    def _min_healthy(self) -> float:
        spec = next(app.spec for app in snapshot.read(self._store).apps if app.name == "demo")
        return float(spec["health"]["min_healthy"])

    def _play(self, words: Sequence[str], name: str) -> tuple[float, float, str]:
        log = LOGS / f"bench-roll-{name}.log"
        self._bench.await_locks()
        with connections() as directory:
            more = {
                "ANSIBLE_SSH_CONTROL_PATH_DIR": str(directory / "cp"),
                "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
                "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
            }
            command = [program("ansible-playbook"), "-i", INVENTORY, *words]
            seconds, cpu = timed(command, self._bench.environment | more, log)
        return seconds, cpu, log.read_text(encoding="utf-8")


def table(rolls: Sequence[Sequence[Roll]], hosts: int) -> list[str]:
    """Return the cheapest roll of each way, and ours in parts of the others."""
    best, *others = (min(each, key=lambda roll: roll.net) for each in rolls)
    lines = [f"{'roll over ' + str(hosts) + ' hosts':<34}{'seconds':>9}{'less waits':>12}{'CPU s':>8}"]
    for says, roll in zip(WAYS, (best, *others), strict=True):
        lines.append(f"{says:<34}{roll.seconds:>9.1f}{roll.net:>12.1f}{roll.cpu:>8.1f}")
    for says, other, goal in zip(WAYS[1:], others, GOALS, strict=True):
        ratios = [best.seconds / other.seconds, best.net / other.net, best.cpu / other.cpu]
        figures = f"{ratios[0]:>9.2f}{ratios[1]:>12.2f}{ratios[2]:>8.2f}"
        word = "reached" if ratios[1] <= goal else "missed"
        lines.append(f"{'ours / ' + says.split()[0].strip(','):<34}{figures}   goal {goal:.2f}: {word}")
    return lines


def main() -> None:
    """Roll in turns and print the table; Kamal by itself, for its containers stand beside ours."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each way rolls (2)")
    parser.add_argument("--keep", action="store_true", help="leave the lab there at the end")
    given = parser.parse_args()
    bench = BenchLab(own())
    with removed(bench, given.keep):
        bench.renew()
        app = Bench(bench)
        app.prepare()
        ours, plain, other = [], [], []
        for number in range(given.rounds):
            plain.append(app.plain(TAGS[(number + 1) % 2]))
            ours.append(app.ours(TAGS[(number + 1) % 2]))
            print(f"ours {ours[-1]}\nplain {plain[-1]}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            kamal = app.kamal(Path(folder))
            for number in range(given.rounds):
                seconds, cpu = kamal.roll(KAMAL_TAGS[number % 2])
                other.append(Roll(seconds, 0.0, cpu))
                print(f"kamal {other[-1]}", file=sys.stderr, flush=True)
        print("\n".join(table([ours, plain, other], len(app._rows(TAGS[0])["rows"]))))


if __name__ == "__main__":
    main()
