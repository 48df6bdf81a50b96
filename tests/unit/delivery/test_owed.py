"""What follows a switch, and whether a deployment that was cut short came to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drcloud.cmdb.store import Store
from drcloud.delivery import ledger, owed, rollout, target
from drcloud.delivery.rollout import Begun, Report
from drcloud.delivery.target import Target

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def hook(per: str) -> dict[str, Any]:
    return {"when": "after", "per": per, "command": ["warm"], "timeout": 5}


@pytest.fixture
def goal(store: Store) -> Target:
    """A release with one command after each host and one after the roll."""
    found = target.target(target.find(store, "demo", "prod"), "v1", DIGEST)
    return replace(found, hooks=(hook("host"), hook("roll")))


def cut_short(store: Store, goal: Target, *claimed: str, token: int = 1) -> str:
    """A deployment whose controller was killed while it switched some hosts."""
    uid = ledger.open_deployment(store, goal, None)
    for host in claimed:
        ledger.claim(store, uid, host, token)
    return uid


def test_a_host_whose_switch_was_not_committed_is_owed_what_follows(store: Store, goal: Target) -> None:
    cut_short(store, goal, "dk-01", "dk-02")
    # A second one went on, committed one of them, and was killed too.
    uid = cut_short(store, goal, "dk-01")
    ledger.commit(store, uid, "dk-01", 1, "done", {})
    cut_short(store, goal)
    now = ledger.open_deployment(store, goal, None)
    found = owed.read(store, goal, now)
    assert (found.hosts, found.roll) == (frozenset({"dk-02"}), True)


def test_nothing_is_owed_without_commands_that_follow(store: Store, goal: Target) -> None:
    cut_short(store, goal, "dk-01")
    before = {**hook("host"), "when": "before"}
    assert owed.read(store, replace(goal, hooks=(before,)), "") == owed.Owed()
    once = owed.read(store, replace(goal, hooks=(hook("roll"),)), "")
    assert (once.hosts, once.roll) == (frozenset(), True)


@pytest.mark.parametrize("ended", ["succeeded", "failed"])
def test_a_deployment_that_came_to_its_end_owes_nothing(store: Store, goal: Target, ended: Any) -> None:
    ledger.close(store, cut_short(store, goal, "dk-01"), ended, "it ended")
    assert owed.read(store, goal, "") == owed.Owed()


def test_what_another_revision_owed_is_no_matter(store: Store, goal: Target) -> None:
    cut_short(store, goal, "dk-01")
    other = target.target(target.find(store, "demo", "prod"), "v0", OTHER)
    cut_short(store, other)
    assert owed.read(store, goal, "") == owed.Owed()


def test_a_plan_of_hosts_that_all_run_it_finishes_what_is_owed(store: Store, goal: Target) -> None:
    cut_short(store, goal, "dk-02")
    begun = Begun(goal, ledger.open_deployment(store, goal, None), 2)
    one = {"name": "x", "app": "demo", "env": "prod", "slot": "a", "revision": goal.revision}
    runs = ({**one, "status": "running", "health": "healthy"},)
    reports = [Report(host, runs) for host in goal.hosts]
    made = rollout.make_plan(store, begun, reports, {})
    assert [(step.host, step.action) for step in made.rolled] == [("dk-02", "finish")]
    once = replace(begun, target=replace(goal, hooks=(hook("roll"),)))
    made = rollout.make_plan(None, once, reports, {})
    assert made.rolled == ()
    again = replace(once, deployment="")
    assert [step.action for step in rollout.make_plan(store, again, reports, {}).rolled] == ["finish"]
