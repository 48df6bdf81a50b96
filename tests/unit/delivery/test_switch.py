"""One host's step, with a host and balancers of our own: the order of events, and what trouble leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from drcloud.delivery import haproxy
from drcloud.delivery.haproxy import Pool, Server
from drcloud.delivery.switch import BalancerError, Order, Outcome, StepError, Switch
from drcloud.errors import UnreachableError

POOL = "demo_prod"
HOSTS = ("dk-01", "dk-02", "dk-03", "dk-04")


def instance(slot: str, revision: str = "old", status: str = "running") -> dict[str, Any]:
    return {
        "app": "demo",
        "env": "prod",
        "name": f"demo_prod_{slot}_{revision}",
        "slot": slot,
        "revision": revision,
        "status": status,
        "created": "2026-01-01",
    }


class World:
    """A host and two balancers that see its slots; each act is written down."""

    def __init__(self, *running: dict[str, Any]) -> None:
        self.instances = list(running)
        self.story: list[str] = []
        self.admin: dict[str, dict[str, haproxy.AdminState]] = {"lb-01": {}, "lb-02": {}}
        self.sessions: dict[str, list[int]] = {}
        self.deaf: set[str] = set()
        self.blind: set[str] = set()
        self.fails: dict[str, Exception] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.now = 0.0
        self.asked = 0

    # the host
    def start(self, slot: str) -> Sequence[dict[str, Any]]:
        self._act("start", slot)
        self.instances.append(instance(slot, "new"))
        return self.instances

    def stop(self, slot: str) -> Sequence[dict[str, Any]]:
        self._act("stop", slot)
        self.instances = [{**i, "status": "exited"} if i["slot"] == slot else i for i in self.instances]
        return self.instances

    def remove(self, slot: str) -> Sequence[dict[str, Any]]:
        self._act("remove", slot)
        self.instances = [i for i in self.instances if i["slot"] != slot]
        return self.instances

    def hook(self, hook: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        self._act("hook", " ".join(hook["command"]))
        return self.instances

    def _act(self, what: str, slot: str) -> None:
        self.story.append(f"{what} {slot}")
        if what in self.fails:
            raise self.fails[what]

    # the balancers
    def pools(self) -> dict[str, Pool]:
        self.asked += 1
        return self._pools()

    def _pools(self) -> dict[str, Pool]:
        if self.deaf:
            raise BalancerError(f"load balancer {min(self.deaf)} does not answer")
        return {lb: {name: self._server(lb, name) for name in self._names()} for lb in self.admin}

    def tell(self, lines: Sequence[str]) -> dict[str, Pool]:
        for line in lines:
            words = line.split()
            server = words[2].partition("/")[2]
            if words[3] == "state":
                for lb in set(self.admin) - self.deaf:
                    self.admin[lb][server] = words[4]  # type: ignore[assignment]
            self.story.append(f"{words[4]} {server}")
            if action := self.before.pop(f"{words[4]} {server}", None):
                action()
        return self._pools()

    def _names(self) -> list[str]:
        return [f"{host}_{slot}" for host in HOSTS for slot in "ab"]

    def _server(self, lb: str, name: str) -> Server:
        host, _, slot = name.rpartition("_")
        here = any(i["slot"] == slot and i["status"] == "running" for i in self.instances)
        running = here if host == "dk-01" else slot == "a"
        left = self.sessions.get(name, [0])
        sessions = left.pop(0) if len(left) > 1 else left[0]
        return Server(name, running and name not in self.blind, self.admin[lb].get(name, "ready"), sessions)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def switch(self, **changes: Any) -> Outcome:
        return self.switcher(**changes).run()

    def switcher(self, **changes: Any) -> Switch:
        values: dict[str, Any] = {
            "host": "dk-01",
            "app": "demo",
            "env": "prod",
            "revision": "new",
            "pool": POOL,
            "instances": tuple(self.instances),
            "batch": ("dk-01",),
            "min_in_service": 3,
            "stable": "old",
            **changes,
        }
        return Switch(Order(**values), self, self, clock=lambda: self.now, sleep=self.sleep)

    def serving(self) -> set[str]:
        return {
            s.name
            for pool in self.pools().values()
            for s in pool.values()
            if s.host == "dk-01" and s.in_service
        }


def test_the_new_serves_before_the_old_is_drained() -> None:
    world = World(instance("a"))
    outcome = world.switch()
    assert (outcome.state, outcome.slot) == ("done", "b")
    assert world.story == [
        "drain dk-01_b",
        "start b",
        "ready dk-01_b",
        "drain dk-01_a",
        "stop a",
        "down dk-01_a",
        "ready dk-01_a",
    ]
    assert world.serving() == {"dk-01_b"}


def test_the_first_deploy_asks_nobody_for_capacity() -> None:
    world = World()
    assert world.switch(min_in_service=4).state == "done"
    assert world.serving() == {"dk-01_a"}


def test_the_old_is_stopped_only_when_its_last_request_is_answered() -> None:
    world = World(instance("a"))
    world.sessions["dk-01_a"] = [2] * 20 + [0]
    assert world.switch().state == "done"
    assert world.now > 0


def test_requests_that_never_end_are_cut_off_and_counted() -> None:
    world = World(instance("a"))
    world.sessions["dk-01_a"] = [1]
    outcome = world.switch(drain_timeout=5)
    assert outcome.state == "done"
    assert outcome.detail["times"]["cut_sessions"] == 2
    assert world.now >= 5


def test_an_instance_that_never_gets_healthy_costs_nothing() -> None:
    world = World(instance("a"))
    world.fails["start"] = StepError("not healthy after 30 s: HTTP 503", "app", ["boom"])
    outcome = world.switch()
    assert outcome.state == "reverted"
    assert outcome.detail["logs"] == ["boom"]
    assert "drain dk-01_a" not in world.story
    assert world.serving() == {"dk-01_a"}


def test_a_first_deploy_that_fails_has_nothing_to_go_back_to() -> None:
    world = World()
    world.fails["start"] = StepError("not healthy", "app")
    assert world.switch().state == "failed"


def test_an_instance_that_a_balancer_cannot_reach_gets_no_traffic() -> None:
    world = World(instance("a"))
    world.blind.add("dk-01_b")
    outcome = world.switch()
    assert outcome.state == "reverted"
    assert "does not pass the health check of load balancer lb-01 and lb-02" in outcome.detail["reason"]
    assert world.serving() == {"dk-01_a"}
    assert "remove b" in world.story


def test_too_few_hosts_in_service_keep_the_old_one() -> None:
    world = World(instance("a"))
    outcome = world.switch(min_in_service=4)
    assert outcome.state == "reverted"
    assert outcome.detail["kind"] == "capacity"
    assert "would keep 3 hosts in service without dk-01, and 4 must stay" in outcome.detail["reason"]
    assert world.serving() == {"dk-01_a"}
    assert "stop a" not in world.story


def test_a_host_that_serves_nothing_takes_nothing_away() -> None:
    world = World(instance("a"))
    world.blind.add("dk-01_a")
    assert world.switch(min_in_service=4).state == "done"


def test_the_old_serves_again_when_it_cannot_be_stopped() -> None:
    world = World(instance("a"))
    world.fails["stop"] = StepError("the engine does not answer", "host")
    outcome = world.switch()
    assert outcome.state == "reverted"
    assert world.serving() == {"dk-01_a"}
    assert world.story[-4:] == ["drain dk-01_b", "remove b", "down dk-01_b", "ready dk-01_b"]


def test_a_lost_host_is_out_of_service_also_when_it_comes_back() -> None:
    world = World(instance("a"))
    world.fails["start"] = UnreachableError("no route to host")
    outcome = world.switch()
    assert (outcome.state, outcome.instances) == ("unreachable", None)
    assert world.admin["lb-01"] == {"dk-01_a": "drain", "dk-01_b": "drain"}
    assert world.serving() == set()


def test_a_lost_host_that_serves_and_is_needed_goes_on() -> None:
    world = World(instance("a"))
    world.fails["start"] = UnreachableError("no route to host")
    outcome = world.switch(min_in_service=4)
    assert (outcome.state, outcome.instances) == ("unreachable", None)
    assert world.admin["lb-01"]["dk-01_b"] == "drain"
    assert world.serving() == {"dk-01_a"}


def test_a_balancer_that_goes_away_in_the_middle_stops_the_step() -> None:
    world = World(instance("a"))
    world.before["ready dk-01_b"] = lambda: world.deaf.add("lb-02")
    outcome = world.switch()
    assert (outcome.state, outcome.detail["kind"]) == ("reverted", "balancer")
    assert "stop a" not in world.story
    assert world.admin["lb-01"]["dk-01_b"] == "drain"


def test_a_balancer_that_is_down_before_anything_was_begun() -> None:
    world = World(instance("a"))
    world.deaf.add("lb-01")
    assert world.switch().state == "reverted"
    assert world.story == []


def test_what_a_crash_left_is_cleared_first_and_what_serves_stays() -> None:
    world = World(instance("a"), instance("b", "half"))
    world.admin["lb-01"]["dk-01_b"] = world.admin["lb-02"]["dk-01_b"] = "drain"
    outcome = world.switch()
    assert outcome.state == "done"
    assert world.story[:2] == ["drain dk-01_b", "remove b"]
    assert world.serving() == {"dk-01_b"}
    assert [i["revision"] for i in world.instances if i["status"] == "running"] == ["new"]


def test_a_switch_that_died_before_its_last_stop_is_finished() -> None:
    world = World(instance("a"), instance("b", "new"))
    for admin in world.admin.values():
        admin["dk-01_a"] = "drain"
    outcome = world.switch()
    assert (outcome.state, outcome.slot) == ("done", "b")
    assert "start a" not in world.story
    assert world.serving() == {"dk-01_b"}


@pytest.mark.parametrize(("needed", "state"), [(3, "done"), (4, "failed")])
def test_retiring_asks_for_capacity_too(needed: int, state: str) -> None:
    world = World(instance("a"))
    assert world.switcher(min_in_service=needed).retire().state == state
    assert ("remove a" in world.story) == (state == "done")


BEFORE, AFTER = {"command": ["migrate"], "timeout": 5}, {"command": ["warm", "up"], "timeout": 5}


def test_hooks_run_before_anything_starts_and_after_all_is_switched() -> None:
    world = World(instance("a"))
    switch = world.switcher()
    switch.hooks = [BEFORE], [AFTER]
    outcome = switch.run()
    assert outcome.state == "done"
    assert (world.story[0], world.story[-1]) == ("hook migrate", "hook warm up")
    assert world.story.index("start b") > 0


def test_what_follows_a_switch_is_run_where_an_earlier_roll_was_cut_short_before_it() -> None:
    world = World(instance("a"))
    switch = world.switcher(revision=instance("a")["revision"], keep=True)
    switch.hooks = [BEFORE], [AFTER]
    assert switch.run().state == "done"
    assert [act for act in world.story if act.startswith(("hook", "start", "stop"))] == ["hook warm up"]


def test_a_hook_that_fails_before_leaves_the_host_as_it_was() -> None:
    world = World(instance("a"))
    world.fails["hook"] = StepError("the hook migrate ended with exit code 3", "app", ["no table"])
    switch = world.switcher()
    switch.hooks = [BEFORE], []
    outcome = switch.run()
    assert (outcome.state, outcome.detail["kind"], outcome.detail["logs"]) == (
        "reverted",
        "app",
        ["no table"],
    )
    assert world.story == ["hook migrate"]


def test_a_hook_that_fails_after_is_a_failure_of_the_app_on_a_host_that_was_switched() -> None:
    world = World(instance("a"))
    world.fails["hook"] = StepError("the hook warm did not end within 5 s", "app")
    switch = world.switcher()
    switch.hooks = [], [AFTER]
    outcome = switch.run()
    assert (outcome.state, outcome.slot, outcome.detail["kind"]) == ("failed", "b", "app")
    assert "stop a" in world.story


def test_what_was_just_said_is_not_asked_again() -> None:
    world = World(instance("a"))
    said, world.asked = world.pools(), 0
    assert world.switch(pools=said).state == "done"
    assert world.asked == 1, "once, for their own checks; all else is in the answers to what they are told"
