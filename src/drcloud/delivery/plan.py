"""The plan of a roll: which hosts, in which order, how many at once, and why. Pure functions.

Order and batches know failure domains: where a placement spans racks a batch never has two hosts of one,
and the first batch is one host, so that a bad image is found out at the price of one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from drcloud.delivery.slots import ADOPTED
from drcloud.errors import InvalidInputError

Action = Literal["first", "replace", "finish", "unchanged"]
CANARY = 1


@dataclass(frozen=True, slots=True)
class Pull:
    """An image that a host lacks, and the ``bytes`` of those of its layers; None where nobody knows them."""

    image: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a host said before anything was touched; ``changes`` tell what the new revision changes there.

    ``owed`` are commands of the app that follow a switch, where an earlier roll did not come to them;
    ``by_hand`` names the settings that somebody changed on the host since its instance was started.
    """

    host: str
    rack: str | None
    running: str | None
    healthy: bool
    changes: tuple[str, ...] = ()
    owed: bool = False
    pull: Pull | None = None
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One host of the plan. ``batch`` counts from 0; -1 stands for a host with nothing to do."""

    host: str
    position: int
    batch: int
    action: Action
    previous: str | None
    reason: str
    changes: tuple[str, ...] = ()
    rack: str | None = None
    pull: Pull | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps; ``serial`` is the size of each batch.

    Of ``placed`` hosts ``in_service`` serve before it, and for each batch ``staying`` do meanwhile.
    """

    steps: tuple[Step, ...]
    serial: tuple[int, ...]
    placed: int = 0
    in_service: int = 0
    min_in_service: int = 0
    staying: tuple[int, ...] = ()

    @property
    def rolled(self) -> tuple[Step, ...]:
        """Return the steps that change a host, in order."""
        return tuple(step for step in self.steps if step.action != "unchanged")

    def batch_of(self, host: str) -> tuple[str, ...]:
        """Return the hosts that are rolled together with this one."""
        mine = next(step.batch for step in self.steps if step.host == host)
        return tuple(step.host for step in self.rolled if step.batch == mine)

    def as_document(self) -> dict[str, Any]:
        """Return the plan as the ledger keeps it."""
        return {
            "serial": list(self.serial),
            "placed": self.placed,
            "in_service": self.in_service,
            "min_in_service": self.min_in_service,
            "staying": list(self.staying),
            "steps": [asdict(step) for step in self.steps],
        }


def plan(
    hosts: Sequence[Prepared],
    revision: str,
    *,
    batch: int,
    min_in_service: int,
    placed: int | None = None,
    spans_racks: bool = False,
    budget: int = 0,
) -> Plan:
    """Return the plan that brings every host to the revision; hosts that do not serve come first.

    ``placed`` is how many hosts serve or shall, and ``spans_racks`` whether they stand in several racks,
    where ``hosts`` are only some of them. Raises InvalidInputError where the placement leaves no host that
    may leave service: drCloud never rolls below ``min_in_service``. Of ``budget`` hosts that may still be
    lost a batch leaves room for all, as far as one host remains: else the first loss would stop the roll.
    """
    todo = [host for host in hosts if host.owed or not _is_on(host, revision)]
    ready = [host for host in hosts if host not in todo]
    first = all(host.running is None for host in todo)
    size = batch if first else _batch_size(placed or len(hosts), batch, min_in_service, budget)
    order = [
        name
        for healthy in (False, True)
        for name in spread({host.host: host.rack for host in todo if host.healthy is healthy}, size)
    ]
    by_name = {host.host: host for host in todo}
    apart = spans_racks or len({host.rack for host in hosts}) > 1
    serial = batches([by_name[name].rack for name in order], size, apart=apart)
    numbers = [number for number, count in enumerate(serial) for _ in range(count)]
    steps = [
        _step(by_name[name], revision, position, number)
        for position, (name, number) in enumerate(zip(order, numbers, strict=True))
    ]
    unchanged = [_step(host, revision, len(steps) + offset, -1) for offset, host in enumerate(ready)]
    everybody = placed or len(hosts)
    serving = everybody - sum(not host.healthy for host in hosts)
    staying = _staying(steps, by_name, serving)
    return Plan((*steps, *unchanged), serial, everybody, serving, min_in_service, staying)


def _staying(steps: Sequence[Step], hosts: Mapping[str, Prepared], serving: int) -> tuple[int, ...]:
    """Return how many serve while each batch is rolled; who did not before its batch does after it."""
    found = []
    for _batch, group in itertools.groupby(steps, key=lambda step: step.batch):
        mine = list(group)
        found.append(serving - sum(hosts[step.host].healthy and step.action != "finish" for step in mine))
        serving += sum(not hosts[step.host].healthy for step in mine)
    return tuple(found)


def _is_on(host: Prepared, revision: str) -> bool:
    return host.running == revision and host.healthy and not host.by_hand


def _step(host: Prepared, revision: str, position: int, batch: int) -> Step:
    action, reason = _due(host, revision)
    changes = host.changes if action == "replace" else ()
    return Step(host.host, position, batch, action, host.running, reason, changes, host.rack, host.pull)


def _due(host: Prepared, revision: str) -> tuple[Action, str]:
    """Return what is to be done on a host, and why."""
    if _is_on(host, revision):
        if host.owed:
            return "finish", "runs this revision already, and what follows its switch was cut short"
        return "unchanged", "runs this revision already"
    if host.running is None:
        return "first", "runs nothing of this app yet"
    if host.running == ADOPTED:
        return "replace", "takes over from a container that was never deployed"
    if not host.healthy:
        return "replace", "runs an instance that is not healthy"
    if host.running == revision:
        return "replace", f"was changed by hand: {', '.join(host.by_hand)}"
    return "replace", "runs another revision"


def _batch_size(placed: int, batch: int, needed: int, budget: int) -> int:
    spare = placed - needed
    if spare < 1:
        raise InvalidInputError(
            f"min_in_service {needed} of {placed} hosts leaves none that may leave service: "
            "lower min_in_service of the placement or add a host to it"
        )
    return min(batch, max(1, spare - budget))


def spread(racks: Mapping[str, str | None], at_once: int = 2) -> list[str]:
    """Return the hosts so that ``at_once`` neighbours stand in different racks wherever that is possible.

    Racks take turns, the fullest first; within a rack the given order holds.
    """
    waiting: dict[str | None, deque[str]] = defaultdict(deque)
    for host, rack in racks.items():
        waiting[rack].append(host)
    order: list[str] = []
    taken: list[str | None] = []
    while len(order) < len(racks):
        # The fullest rack that was not taken just now; with one rack left there is no choice.
        usable = [rack for rack, hosts in waiting.items() if hosts]
        recent = taken[len(taken) - min(at_once, len(usable), len(taken) + 1) + 1 :]
        rack = max(usable, key=lambda item: (item not in recent, [item] != taken[-1:], len(waiting[item])))
        order.append(waiting[rack].popleft())
        taken.append(rack)
    return order


def first_to_pull(racks: Mapping[str, str | None], at_once: int) -> list[str]:
    """Return the hosts that pull first: all where they are no more than ``at_once``, else one of each rack.

    Hosts of which no rack is known count as one rack.
    """
    if len(racks) <= at_once:
        return list(racks)
    first: dict[str | None, str] = {}
    for host, rack in racks.items():
        first.setdefault(rack, host)
    return list(first.values())


def batches(racks: Sequence[str | None], size: int, *, apart: bool) -> tuple[int, ...]:
    """Return the sizes of the batches: one host first, then up to ``size`` at a time, in the order given.

    ``apart`` ends a batch before a rack would be in it twice. Hosts of which no rack is known count as one.
    """
    found: list[list[str | None]] = []
    for rack in racks:
        full = CANARY if len(found) == 1 else size
        if not found or len(found[-1]) == full or (apart and rack in found[-1]):
            found.append([])
        found[-1].append(rack)
    return tuple(map(len, found))
