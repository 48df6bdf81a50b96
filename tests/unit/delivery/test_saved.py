"""Plans that were saved: what they hold, and when they do not hold any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.delivery.conftest import DIGEST, LAYER

from drcloud.cmdb import appconfig, observations
from drcloud.cmdb.store import Store
from drcloud.delivery import rollout, saved, target
from drcloud.delivery.plan import Plan, Prepared, Step, plan
from drcloud.delivery.platforms import WrongPlatformError
from drcloud.delivery.target import Target
from drcloud.delivery.wish import Wish
from drcloud.errors import InvalidInputError, UnreachableError

OLD = "0" * 64


@pytest.fixture
def goal(store: Store, registry: Callable[[bool], None]) -> Target:
    registry(True)
    return target.target(target.find(store, "demo", "prod"), "v1", DIGEST)


@pytest.fixture
def made(goal: Target) -> Plan:
    hosts = [Prepared(host, place.rack, OLD, True) for host, place in goal.hosts.items()]
    return plan(hosts, goal.revision, batch=2, min_in_service=4)


@pytest.fixture
def file(goal: Target, made: Plan, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(saved.document(goal, made)), encoding="utf-8")
    return path


def wish(file: Path, app: str = "demo") -> Wish:
    return Wish(app, "prod", way="apply", plan=str(file))


def test_a_plan_is_applied_by_its_digest(store: Store, goal: Target, made: Plan, file: Path) -> None:
    assert rollout.aim(store, wish(file)) == (replace(goal, layers={LAYER: 5_000_000}), "deploy")
    saved.require(saved.load(file), made)


def test_a_plan_is_not_applied_where_its_image_cannot_be_had_or_run(
    store: Store, file: Path, registry: Callable[[bool], None]
) -> None:
    observations.record_facts(store, "dk-02", {"kernel": {"machine": "aarch64"}})
    with pytest.raises(WrongPlatformError, match="demo v1 is an image for linux/amd64, which host dk-02"):
        rollout.aim(store, wish(file))
    registry(False)
    with pytest.raises(UnreachableError, match=r"registry main .* does not answer"):
        rollout.aim(store, wish(file))


def test_a_plan_for_another_app_is_refused(store: Store, file: Path) -> None:
    with pytest.raises(InvalidInputError, match="is for demo in prod, not for shop in prod"):
        rollout.aim(store, wish(file, "shop"))


def test_another_configuration_makes_a_plan_stale(store: Store, file: Path) -> None:
    appconfig.change(store, "demo", "prod", lambda _known: {"A": "3"}, reason="test")
    with pytest.raises(
        InvalidInputError, match="the configuration of demo was none and is 1; make a new one"
    ):
        rollout.aim(store, wish(file))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda step: replace(step, previous="1" * 64), "ran revision 00000000 and runs revision 11111111"),
        (lambda step: replace(step, previous=None, action="first"), "ran revision 00000000 and runs nothing"),
        (lambda step: replace(step, action="unchanged"), "it was replace and would be unchanged"),
        (lambda step: replace(step, batch=step.batch + 7), "would be elsewhere"),
        (lambda step: replace(step, host="dk-09"), "host dk-09 was not in it"),
    ],
)
def test_a_host_that_changed_makes_a_plan_stale(
    made: Plan, file: Path, change: Callable[[Step], Step], words: str
) -> None:
    now = replace(made, steps=(change(made.steps[0]), *made.steps[1:]))
    with pytest.raises(InvalidInputError, match=words):
        saved.require(saved.load(file), now)


def test_a_host_that_went_away_makes_a_plan_stale(made: Plan, file: Path) -> None:
    with pytest.raises(InvalidInputError, match="is not there any more"):
        saved.require(saved.load(file), replace(made, steps=made.steps[1:]))


def test_what_is_no_plan_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    with pytest.raises(InvalidInputError, match=r"cannot read the plan .*broken\.json: No such file"):
        saved.load(broken)
    broken.write_text('{"app": "demo"}', encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"broken\.json is no plan: save one with"):
        saved.load(broken)
