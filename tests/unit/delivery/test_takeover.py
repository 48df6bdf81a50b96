"""What an app has on a host that somebody else started."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import observations, snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import observe, takeover
from drcloud.delivery.plan import Prepared, plan
from drcloud.delivery.slots import ADOPTED
from drcloud.delivery.target import find, target
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError


def container(name: str = "shop", **fields: Any) -> dict[str, Any]:
    bound = [{"container": 8080, "protocol": "tcp", "address": "0.0.0.0", "host": 80}]
    return {"name": name, "ours": False, "status": "running", "ports": bound, **fields}


@pytest.fixture
def adopted(store: Store) -> Store:
    found = [
        container(),
        container("ours", ours=True),
        container("dead", status="exited"),
        container("quiet", ports=[]),
        container("twice", ports=[{**container()["ports"][0], "host": port} for port in (80, 81)]),
    ]
    observations.record_survey(store, "dk-01", {"containers": found, "notes": []})
    return store


def take(store: Store, **containers: str) -> Any:
    named = {host.replace("_", "-"): name for host, name in containers.items()}
    return takeover.take_over(store, "demo", "prod", named, reason="test")


def test_the_container_is_what_slot_a_is_from_then_on(adopted: Store) -> None:
    take(adopted, dk_01="shop")
    [placement] = [row for row in snapshot.read(adopted).placements if (row.app, row.env) == ("demo", "prod")]
    assert placement.takes_over == {"dk-01": "shop"}
    assert placement.ports["dk-01"]["a"] == 80
    assert placement.ports["dk-01"]["b"] >= 20000
    assert take(adopted, dk_01="shop").changes == ()
    place = target(find(adopted, "demo", "prod", ["dk-01"]), "rt1", "sha256:" + "1" * 64).hosts["dk-01"]
    assert (place.takes_over, place.slots["a"]) == ("shop", 80)


def test_it_can_be_forgotten(adopted: Store) -> None:
    take(adopted, dk_01="shop")
    takeover.give_up(adopted, "demo", "prod", ["dk-01"], reason="test")
    assert [row.takes_over for row in snapshot.read(adopted).placements if row.app == "demo"] == [{}]
    with pytest.raises(NotFoundError, match="no container to take over on host dk-01"):
        takeover.give_up(adopted, "demo", "prod", ["dk-01"], reason="test")


@pytest.mark.parametrize(
    ("containers", "error", "why"),
    [
        ({"dk_01": "none"}, NotFoundError, "had no container none when it was adopted; it had dead, ours"),
        ({"dk_01": "ours"}, InvalidInputError, "is an instance that drCloud deployed"),
        ({"dk_01": "dead"}, InvalidInputError, "container dead on host dk-01 is exited"),
        ({"dk_01": "quiet"}, InvalidInputError, "it publishes nothing"),
        ({"dk_01": "twice"}, InvalidInputError, "it publishes 80->8080/tcp, 81->8080/tcp"),
        ({"dk_02": "shop"}, InvalidInputError, "host dk-02 was never adopted"),
        ({"lb_01": "shop"}, InvalidInputError, "demo in prod is not placed on host lb-01"),
    ],
)
def test_what_cannot_be_taken_over_is_told_and_nothing_is_written(
    adopted: Store, containers: dict[str, str], error: type[DrcloudError], why: str
) -> None:
    before = snapshot.read(adopted).seq
    with pytest.raises(error, match=why):
        take(adopted, **containers)
    assert snapshot.read(adopted).seq == before


def test_only_a_first_deploy_takes_over(adopted: Store) -> None:
    seen = {
        "name": "demo_prod_a_1",
        "app": "demo",
        "env": "prod",
        "slot": "a",
        **dict.fromkeys(("tag", "deployment"), "x"),
        "digest": "sha256:" + "1" * 64,
        "revision": "r",
        "status": "running",
        "health": "healthy",
        "started_at": "",
    }
    observe.record(adopted, "dk-01", [{**seen, "revision": ADOPTED, "digest": "", "name": "shop"}], "test")
    take(adopted, dk_01="shop")
    observe.record(adopted, "dk-01", [seen], "test")
    with pytest.raises(InvalidInputError, match="was deployed to host dk-01 already"):
        take(adopted, dk_01="shop")


def test_the_plan_tells_what_is_taken_over() -> None:
    hosts = [Prepared("dk-01", None, ADOPTED, healthy=True), Prepared("dk-02", None, None, healthy=False)]
    steps = plan(hosts, "new", batch=1, min_in_service=0, placed=2).steps
    assert {step.host: (step.action, step.previous) for step in steps} == {
        "dk-01": ("replace", ADOPTED),
        "dk-02": ("first", None),
    }
    assert [step.reason for step in steps if step.host == "dk-01"] == [
        "takes over from a container that was never deployed"
    ]
