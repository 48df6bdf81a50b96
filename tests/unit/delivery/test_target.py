"""Which load balancers a roll asks: all in front of the app but those that were declared out of service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drcloud.cmdb import objects, snapshot
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import target
from drcloud.errors import InvalidInputError

DIGEST = f"sha256:{'a' * 64}"


def goal(store: Store) -> target.Target:
    return target.target(target.find(store, "demo", "prod"), "t1", DIGEST)


def declare(store: Store, **states: str) -> None:
    for name, state in states.items():
        wanted = Wanted("host", {"state": state}, name.replace("_", "-"))
        objects.change(store, [wanted], reason="test")


def test_a_roll_asks_all_load_balancers(store: Store) -> None:
    found = goal(store)
    assert (found.lbs, found.lbs_away) == (("lb-01", "lb-02"), ())


@pytest.mark.parametrize("state", ["maintenance", "quarantined"])
def test_one_that_is_declared_out_of_service_is_not_asked(store: Store, state: str) -> None:
    declare(store, lb_01=state)
    found = goal(store)
    assert (found.lbs, found.lbs_away) == (("lb-02",), (f"lb-01 is {state}",))
    declare(store, lb_01="active")
    assert goal(store).lbs == ("lb-01", "lb-02")


def test_a_retired_one_is_not_asked_and_one_that_is_new_is(store: Store) -> None:
    declare(store, lb_01="maintenance", lb_02="maintenance")
    declare(store, lb_01="retired", lb_02="provisioning")
    found = goal(store)
    assert (found.lbs, found.lbs_away) == (("lb-02",), ("lb-01 is retired",))


def test_a_roll_that_nobody_would_drain_is_refused(store: Store) -> None:
    declare(store, lb_01="maintenance", lb_02="quarantined")
    words = (
        "all load balancers of demo in prod are declared out of service "
        r"\(lb-01 is maintenance, lb-02 is quarantined\): bring one back first"
    )
    with pytest.raises(InvalidInputError, match=words):
        goal(store)


def test_an_app_without_load_balancers_has_none_away(store: Store) -> None:
    seen = snapshot.read(store)
    [placement] = seen.placements
    alone = replace(seen, placements=(replace(placement, lbs=()),))
    found = target.target(target.choose(alone, "demo", "prod"), "t1", DIGEST)
    assert (found.lbs, found.lbs_away) == ((), ())
