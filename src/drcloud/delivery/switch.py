"""One host of a roll: start the new next to the old, prove it, move the traffic, stop the old.

The order is what loses no request: the new instance is healthy on its host and passes every load
balancer's own checks before it gets traffic; the old one keeps its traffic until then, is drained at every
load balancer, and is stopped when no request is left. Whatever goes wrong before that, the old one serves.

The host and the load balancers are ports, so that this is Python one can test and Ansible one can run.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from drcloud.delivery import haproxy
from drcloud.delivery.haproxy import Pool, Server
from drcloud.delivery.slots import LIVE, SLOTS, Decision, Seen, decide
from drcloud.errors import DrcloudError, UnreachableError
from drcloud.exitcodes import ExitCode

Kind = Literal["app", "host", "registry", "balancer", "capacity"]
Instances = Sequence[Mapping[str, Any]]
# What is run before a host is switched, and after.
Hooks = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
LOOK = 0.15


class StepError(DrcloudError):
    """A step of a host went wrong: whose failure it was, and what was seen last."""

    def __init__(self, message: str, kind: Kind, logs: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.kind = kind
        self.logs = tuple(logs)


class BalancerError(StepError):
    """A load balancer does not answer, or not what was asked."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, message: str) -> None:
        super().__init__(message, "balancer")


class HostPort(Protocol):
    """The host's side: each call returns all instances on the host, or raises StepError, UnreachableError."""

    def start(self, slot: str) -> Instances:
        """Start an instance of the new revision and wait until it is healthy."""

    def stop(self, slot: str) -> Instances:
        """Stop what runs in a slot and keep it to go back to."""

    def remove(self, slot: str) -> Instances:
        """Remove what is in a slot."""

    def hook(self, hook: Mapping[str, Any]) -> Instances:
        """Run a command of the app and wait for its end; StepError of kind ``app`` where it fails."""


class BalancersPort(Protocol):
    """All load balancers in front of the app; both raise BalancerError."""

    def pools(self) -> dict[str, Pool]:
        """Return what each load balancer says now."""

    def tell(self, lines: Sequence[str]) -> dict[str, Pool]:
        """Send lines to every load balancer and return what each says then."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one host's step needs to know. ``instances`` are all on the host, of other apps too.

    With ``keep`` an instance of the revision that runs already is given its traffic and only what follows
    a switch is done: going back must not replace what never left. ``pools`` is what the load balancers
    said a moment ago, where they were asked already.
    """

    host: str
    app: str
    env: str
    revision: str
    pool: str
    instances: tuple[Mapping[str, Any], ...]
    batch: tuple[str, ...]
    min_in_service: int
    stable: str | None = None
    drain_timeout: float = 30.0
    join_timeout: float = 20.0
    keep: bool = False
    pools: Mapping[str, Pool] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the step ended. ``instances`` is None where the host could not be asked."""

    state: Literal["done", "reverted", "failed", "unreachable"]
    slot: str | None
    detail: dict[str, Any]
    instances: tuple[Mapping[str, Any], ...] | None


@dataclass(slots=True)
class _Progress:
    """What has been done so far, and so may have to be undone."""

    started: str | None = None
    prepared: str | None = None
    draining: str | None = None
    instances: tuple[Mapping[str, Any], ...] | None = None
    times: dict[str, float] = field(default_factory=dict)


class Switch:
    """One host's step. Use ``run`` once. ``hooks`` are commands of the app before and after it."""

    def __init__(
        self,
        order: Order,
        host: HostPort,
        balancers: BalancersPort,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.hooks: Hooks = ((), ())
        self._order = order
        self._host = host
        self._balancers = balancers
        self._clock = clock
        self._sleep = sleep
        self._done = _Progress(instances=order.instances)

    def run(self) -> Outcome:
        """Switch this host; never raises for what goes wrong on hosts, balancers or in the app."""
        decision: Decision | None = None
        try:
            decision = self._decide()
            return self._roll(decision)
        except UnreachableError as error:
            self._take_out()
            self._done.instances = None
            return self._ended("unreachable", {"reason": str(error), "kind": "host"}, None)
        except StepError as error:
            served = self._retreat(decision, host_answers=True)
            detail = {"reason": str(error), "kind": error.kind, "logs": list(error.logs)}
            return self._ended("reverted" if served else "failed", detail, self._slot_of(decision))

    def retire(self) -> Outcome:
        """Take the app off this host: drained everywhere first, then removed. Never raises either."""
        mine = self._order.app, self._order.env
        running = [
            Seen.of(found).slot
            for found in self._order.instances
            if (found["app"], found["env"]) == mine and found["status"] in LIVE
        ]
        try:
            for slot in running:
                self._require_capacity(slot, self._balancers.pools())
                self._done.draining = slot
                self._vacate(slot, self._host.remove)
                self._done.draining = None
        except (StepError, UnreachableError) as error:
            self._retreat(None, host_answers=True)
            lost = isinstance(error, UnreachableError)
            return self._ended("unreachable" if lost else "failed", {"reason": str(error)}, None)
        return self._ended("done", {"reason": "retired" if running else "nothing ran"}, None)

    def _decide(self) -> Decision:
        pools = self._balancers.pools() if self._order.pools is None else self._order.pools
        serving = [
            slot_of(server)
            for pool in pools.values()
            for server in pool.values()
            if server.host == self._order.host and server.in_service
        ]
        mine = self._order.app, self._order.env
        seen = [Seen.of(found) for found in self._order.instances if (found["app"], found["env"]) == mine]
        return decide(seen, serving, self._order.stable)

    def _roll(self, decision: Decision) -> Outcome:
        for leftover in decision.leftovers:
            self._vacate(leftover.slot, self._host.remove)
        current = decision.current
        settled = self._order.keep or bool(decision.leftovers)
        if current is not None and current.revision == self._order.revision and settled:
            self._put(current.slot, "ready")
            return self._after(current.slot, "finished what an earlier roll had begun")
        self._run(self.hooks[0])
        self._begin(decision.free)
        pools = self._join(decision.free)
        if current is not None:
            self._require_capacity(current.slot, pools)
            self._done.draining = current.slot
            self._vacate(current.slot, self._host.stop)
            self._done.draining = None
        return self._after(decision.free, "switched")

    def _run(self, hooks: Sequence[Mapping[str, Any]]) -> None:
        for hook in hooks:
            self._done.instances = tuple(self._host.hook(hook))

    def _after(self, slot: str, reason: str) -> Outcome:
        """Run what follows the switch. The new instance serves by now: the roll puts back what fails here."""
        try:
            self._run(self.hooks[1])
        except StepError as error:
            detail = {"reason": str(error), "kind": error.kind, "logs": list(error.logs)}
            return self._ended("failed", detail, slot)
        return self._ended("done", {"reason": reason}, slot)

    def _begin(self, slot: str) -> None:
        """Start the new instance, out of service until it has proved itself."""
        self._done.prepared = slot
        self._put(slot, "drain")
        self._done.started = slot
        with_start = self._clock()
        self._done.instances = tuple(self._host.start(slot))
        self._done.times["healthy"] = self._clock() - with_start

    def _join(self, slot: str) -> dict[str, Pool]:
        """Wait for every balancer's own checks, let the new instance take requests; return what they say."""
        name = self._server(slot)
        began = self._clock()
        self._wait(
            lambda server: server.running,
            name,
            self._order.join_timeout,
            "does not pass the health check of load balancer",
        )
        pools = self._put(slot, "ready")
        self._done.times["joined"] = self._clock() - began
        return pools

    def _require_capacity(self, slot: str, pools: Mapping[str, Pool]) -> None:
        """See that enough hosts stay at every balancer; a host that serves nothing takes nothing away."""
        name = self._server(slot)
        if not any(pool[name].in_service for pool in pools.values() if name in pool):
            return
        short = haproxy.shortage(pools, self._order.batch, self._order.min_in_service)
        if short is not None:
            raise StepError(
                f"load balancer {short.lb} would keep {short.staying} hosts in service without "
                f"{', '.join(self._order.batch)}, and {short.needed} must stay",
                "capacity",
            )

    def _vacate(self, slot: str, leave: Callable[[str], Instances]) -> None:
        """Take a slot out of every balancer, wait for its last request, and end its instance."""
        began = self._clock()
        cut = self._wait_idle(slot, self._put(slot, "drain"))
        self._done.times["drained"] = self._clock() - began
        if cut:
            self._done.times["cut_sessions"] = cut
        self._done.instances = tuple(leave(slot))
        self._clear(slot)

    def _clear(self, slot: str) -> None:
        """Give an empty slot back: down at once, and ready for whatever starts there next."""
        name = self._server(slot)
        self._balancers.tell(
            [haproxy.down(self._order.pool, name), haproxy.put(self._order.pool, name, "ready")]
        )

    def _put(self, slot: str, state: haproxy.AdminState) -> dict[str, Pool]:
        """Set a slot's administrative state at every balancer, and read it back; return what they say."""
        name = self._server(slot)
        pools = self._balancers.tell([haproxy.put(self._order.pool, name, state)])
        for lb, pool in pools.items():
            server = pool.get(name)
            if server is None or server.admin != state:
                found = server.admin if server else "unknown"
                raise BalancerError(f"load balancer {lb} was told to {state} {name}, but says {found}")
        return pools

    def _wait(self, good: Callable[[Server], bool], name: str, seconds: float, complaint: str) -> None:
        end = self._clock() + seconds
        while True:
            bad = [lb for lb, pool in self._balancers.pools().items() if not good(pool[name])]
            if not bad:
                return
            if self._clock() >= end:
                raise StepError(f"{name} {complaint} {' and '.join(bad)} within {seconds:.0f} s", "app")
            self._sleep(LOOK)

    def _wait_idle(self, slot: str, pools: Mapping[str, Pool]) -> int:
        """Wait until no request is left on a slot; return how many are cut off when time is up."""
        name = self._server(slot)
        end = self._clock() + self._order.drain_timeout
        while True:
            left = sum(pool[name].sessions for pool in pools.values() if name in pool)
            if not left or self._clock() >= end:
                return left
            self._sleep(LOOK)
            pools = self._balancers.pools()

    def _retreat(self, decision: Decision | None, *, host_answers: bool) -> bool:
        """Put the old instance back and the new one away, as far as that can be done; tell if it serves."""
        if self._done.draining is not None:
            self._try(lambda: self._put(str(self._done.draining), "ready"))
        new = self._done.prepared
        if new is not None:
            self._try(lambda: self._put(new, "drain"))
            if host_answers and self._try(lambda: self._take_away(new)):
                self._try(lambda: self._clear(new))
        if decision is None:
            return any(Seen.of(found).running for found in self._order.instances)  # it was not even begun
        return decision.current is not None and self._serves(decision.current.slot)

    def _take_out(self) -> None:
        """Keep requests from a host that does not answer: what it starts when it comes back is not asked."""
        for slot in SLOTS:
            self._try(functools.partial(self._drain_spared, slot))

    def _drain_spared(self, slot: str) -> None:
        """Drain a slot, unless it still serves and too few others would: it may be SSH alone that is lost."""
        pools, name = self._balancers.pools(), self._server(slot)
        serves = any(pool[name].in_service for pool in pools.values() if name in pool)
        needed = self._order.min_in_service
        if slot != self._done.prepared and serves and haproxy.shortage(pools, (self._order.host,), needed):
            return
        self._put(slot, "drain")

    def _take_away(self, slot: str) -> None:
        if self._done.started is not None:
            self._wait_idle(slot, self._balancers.pools())
            self._done.instances = tuple(self._host.remove(slot))

    def _serves(self, slot: str) -> bool:
        name = self._server(slot)
        try:
            pools = self._balancers.pools()
        except BalancerError:
            return True  # nobody stopped it; what the balancers think of it cannot be asked
        return all(pool[name].in_service for pool in pools.values() if name in pool)

    def _try(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except (StepError, UnreachableError):
            return False
        return True

    def _server(self, slot: str) -> str:
        return haproxy.server_name(self._order.host, slot)

    def _slot_of(self, decision: Decision | None) -> str | None:
        return decision.current.slot if decision is not None and decision.current is not None else None

    def _ended(
        self,
        state: Literal["done", "reverted", "failed", "unreachable"],
        detail: dict[str, Any],
        slot: str | None,
    ) -> Outcome:
        times = {name: round(value, 2) for name, value in self._done.times.items()}
        return Outcome(state, slot, {**detail, **({"times": times} if times else {})}, self._done.instances)


def slot_of(server: Server) -> str:
    """Return the slot of a server of a pool."""
    return server.name.rpartition("_")[2]
