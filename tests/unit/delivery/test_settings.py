"""What an environment gives to an app at deploy, and what that makes of its revision."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drcloud.cmdb import appconfig, entries
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.store import Store
from drcloud.delivery import ledger, rollout, target
from drcloud.delivery.plan import Plan
from drcloud.delivery.revision import revision
from drcloud.delivery.rollout import Begun, Report
from drcloud.delivery.target import Target
from drcloud.delivery.wish import Wish
from drcloud.errors import InvalidInputError

DIGEST, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


def configure(store: Store, values: Mapping[str, str]) -> None:
    appconfig.change(store, "demo", "prod", lambda _known: values, reason="test")


def made(store: Store, tag: str = "v1", digest: str = DIGEST) -> Target:
    return target.target(target.find(store, "demo", "prod"), tag, digest)


def planned(store: Store, goal: Target, previous: str) -> Plan:
    instance = {"app": "demo", "env": "prod", "slot": "a", "revision": previous, "status": "running"}
    reports = [Report(host, ({**instance, "health": "healthy"},)) for host in goal.hosts]
    return rollout.make_plan(store, Begun(goal, "", 0), reports, {})


def test_configuration_wins_over_the_override_of_the_specification(store: Store) -> None:
    assert made(store).spec["env"] == {"A": "2"}
    configure(store, {"A": "3", "B": "4"})
    assert made(store).spec["env"] == {"A": "3", "B": "4"}
    # Another environment has nothing of it.
    configured = target.find(store, "demo", "prod").settings
    assert (configured.config_version, dict(configured.variables)) == (1, {"A": "3", "B": "4"})


def test_without_configuration_the_revision_stays_and_each_version_is_another(store: Store) -> None:
    wanted = target.find(store, "demo", "prod")
    plain = made(store).revision
    assert plain == revision(DIGEST, wanted.spec)
    configure(store, {"A": "3"})
    first = made(store).revision
    configure(store, {"A": "4"})
    assert len({plain, first, made(store).revision}) == 3
    assert made(store).config_version == 2


def test_a_name_that_no_variable_can_have_is_refused_before_anything_acts(store: Store) -> None:
    document = {"a.b": "1"}
    entries.declare(
        store, [Entry("app_configs", {"app": "demo", "env": "prod", "document": document})], reason="import"
    )
    with pytest.raises(InvalidInputError, match=r"configuration 1 of demo in prod: 'a.b' is not the name"):
        target.find(store, "demo", "prod")


def test_the_plan_says_what_is_different(store: Store) -> None:
    first = made(store)
    ledger.close(store, ledger.open_deployment(store, first, None), "succeeded", "")
    configure(store, {"A": "3"})
    goal = made(store)
    [changes] = {step.changes for step in planned(store, goal, first.revision).rolled}
    assert changes == ("configuration none -> 1", "env.A changed")
    [changes] = {step.changes for step in planned(store, made(store, "v2", OTHER), first.revision).rolled}
    assert changes == ("image v1 aaaaaaa -> v2 bbbbbbb", "configuration none -> 1", "env.A changed")
    # What the ledger does not know is not guessed, and what stays needs no reason.
    [changes] = {step.changes for step in planned(store, goal, "f" * 64).rolled}
    assert changes == ()
    assert planned(store, goal, goal.revision).rolled == ()


def test_a_rollback_has_the_configuration_of_its_time(store: Store) -> None:
    configure(store, {"A": "3"})
    first = made(store)
    ledger.close(store, ledger.open_deployment(store, first, None), "succeeded", "")
    configure(store, {"A": "4"})
    ledger.close(store, ledger.open_deployment(store, made(store), None), "succeeded", "")
    goal, kind = rollout.aim(store, Wish("demo", "prod", way="rollback"))
    assert (goal.revision, goal.config_version, goal.spec["env"]["A"]) == (first.revision, 1, "3")
    assert kind == "rollback"
