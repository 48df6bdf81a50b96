"""The ledger, its lock and its verdict, on a real CMDB."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.unit.delivery import conftest

from drcloud.cmdb import appconfig, heartbeat, hosts, leases, lookup, objects, observations
from drcloud.cmdb.declared import AppSpecVersion
from drcloud.cmdb.operational import Deployment, Outbox
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import ledger, observe, rollout, status, target, verdict
from drcloud.delivery.haproxy import Server
from drcloud.delivery.plan import Pull
from drcloud.delivery.platforms import WrongPlatformError
from drcloud.delivery.rollout import Begun, Report
from drcloud.delivery.wish import Wish
from drcloud.errors import DrcloudError, InvalidInputError, LockedError, NotFoundError, UnreachableError
from drcloud.exitcodes import ExitCode

DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def earlier(store: Store) -> str:
    """The revision of a deployment that succeeded; to be asked for before ``begun``."""
    goal = target.target(target.find(store, "demo", "prod"), "v0", OTHER)
    uid = ledger.open_deployment(store, goal, "run-0")
    ledger.close(store, uid, "succeeded", "rolled")
    return goal.revision


@pytest.fixture
def begun(store: Store) -> Begun:
    """A deployment that holds its lock."""
    goal = target.target(target.find(store, "demo", "prod"), "v1", DIGEST)
    tokens = leases.acquire(
        store, [("app:demo@prod", True)], holder="run-1", purpose="deploy", ttl=timedelta(minutes=1)
    )
    return Begun(goal, ledger.open_deployment(store, goal, "run-1"), tokens["app:demo@prod"])


def report(host: str, revision: str | None = None, **changes: Any) -> Report:
    instances = ()
    if revision:
        entry = {
            "name": f"demo_prod_a_{revision[:8]}",
            "app": "demo",
            "env": "prod",
            "slot": "a",
            "tag": "v1",
            "digest": DIGEST,
            "revision": revision,
            "deployment": "d",
            "status": "running",
            "health": "healthy",
            "started_at": "2026-11-22T17:00:00.123456789Z",
        }
        instances = (entry,)
    return Report(host, instances, **changes)


def test_a_target_is_found_for_the_environment(store: Store) -> None:
    goal = target.target(target.find(store, "demo", "prod"), "v1", DIGEST)
    assert goal.image == f"registry.test:5000/dianrong/demo@{DIGEST}"
    assert goal.spec["env"] == {"A": "2"}
    assert goal.pool == "demo_prod"
    assert sorted(goal.hosts) == [f"dk-0{number}" for number in range(1, 7)]
    assert set(goal.hosts["dk-01"].slots) == {"a", "b"}


@pytest.mark.parametrize(
    ("percent", "batch"), [(None, 2), (1, 1), (33, 1), (34, 2), (50, 3), (99, 5), (100, 6)]
)
def test_a_batch_that_is_a_share_has_the_whole_hosts_of_it_and_one_at_least(
    store: Store, percent: int | None, batch: int
) -> None:
    wanted = target.find(store, "demo", "prod")
    placement = replace(wanted.placement, batch_percent=percent)
    assert target.target(replace(wanted, placement=placement), "v1", DIGEST).batch == batch
    away = target.target(replace(wanted, placement=placement, away=3), "v1", DIGEST)
    assert away.batch == (max(1, 3 * percent // 100) if percent else 2)


@pytest.mark.parametrize(
    ("app", "env", "only", "words"),
    [
        ("dmo", "prod", [], "there is no app 'dmo' in the CMDB: did you mean demo"),
        ("demo", "prd", [], "there is no environment 'prd' in the CMDB: did you mean prod"),
        ("demo", "qa", [], "app demo has no placement in qa"),
        ("demo", "prod", ["dk-99"], "there is no host 'dk-99'"),
        ("demo", "prod", ["lb-01"], "host lb-01 does not run demo in prod"),
    ],
)
def test_unknown_names(store: Store, app: str, env: str, only: list[str], words: str) -> None:
    with pytest.raises(NotFoundError, match=words):
        target.find(store, app, env, only)


def test_a_host_that_is_not_in_service_is_named(store: Store) -> None:
    from drcloud.cmdb import hosts, lookup

    with store.write(reason="test") as session:
        hosts.transition(session, lookup.host(session, "dk-03"), "maintenance")
    with pytest.raises(InvalidInputError, match="host dk-03 is maintenance, not active"):
        target.find(store, "demo", "prod")
    assert len(target.find(store, "demo", "prod", ["dk-01"]).hosts) == 1


def test_a_step_is_claimed_once(store: Store, begun: Begun) -> None:
    ledger.claim(store, begun.deployment, "dk-01", begun.token)
    with pytest.raises(LockedError, match="the step of host dk-01"):
        ledger.claim(store, begun.deployment, "dk-01", begun.token)


def test_an_older_token_commits_nothing(store: Store, begun: Begun) -> None:
    ledger.claim(store, begun.deployment, "dk-01", begun.token + 1)
    with pytest.raises(LockedError, match="taken over"):
        ledger.commit(store, begun.deployment, "dk-01", begun.token, "done", {})


def test_the_plan_is_written_and_unchanged_hosts_are_done(store: Store, begun: Begun) -> None:
    revision = begun.target.revision
    lacks = Pull("registry.test:5000/dianrong/demo@sha256:aa", 4096)
    reports = [
        report(host, revision if host == "dk-06" else "old", pull=lacks) for host in begun.target.hosts
    ]
    made = rollout.make_plan(store, begun, reports, {})
    assert made.serial == (1, 2, 2)
    assert (made.steps[0].rack, made.steps[0].pull) == (begun.target.hosts["dk-01"].rack, lacks)
    assert (made.placed, made.min_in_service, min(made.staying)) == (6, 4, 4)
    steps = {step.host: step for step in ledger.steps(store, begun.deployment)}
    assert steps["dk-06"].state == "unchanged"
    assert steps["dk-01"].previous == "old"


def test_what_was_changed_by_hand_on_a_host_is_not_done(store: Store, begun: Begun) -> None:
    reports = [report(host, begun.target.revision) for host in begun.target.hosts]
    changed = {**reports[2].instances[0], "differs": ["env"]}
    reports[2] = replace(reports[2], instances=(changed,))
    made = rollout.make_plan(store, begun, reports, {})
    assert [(step.host, step.reason) for step in made.rolled] == [
        (reports[2].host, "was changed by hand: env")
    ]


def test_a_host_that_a_balancer_does_not_ask_is_not_done(store: Store, begun: Begun) -> None:
    revision = begun.target.revision
    names = [f"{host}_{slot}" for host in begun.target.hosts for slot in "ab"]
    pool = {name: Server(name, name.endswith("a"), "ready", 0) for name in names}
    drained = {**pool, "dk-02_a": Server("dk-02_a", True, "drain", 0)}
    reports = [report(host, revision) for host in begun.target.hosts]
    made = rollout.make_plan(store, begun, reports, {"lb-01": pool, "lb-02": drained})
    assert [step.host for step in made.rolled] == ["dk-02"]
    with pytest.raises(DrcloudError, match="lb-02 does not know server dk-01_a of demo_prod: provision it"):
        rollout.make_plan(store, begun, reports, {"lb-01": pool, "lb-02": {}})


def test_a_host_that_somebody_drained_holds_nobodys_place(store: Store, begun: Begun) -> None:
    """Of six one is drained and four must stay: one at a time, although the batch is two."""
    some = target.find(store, "demo", "prod", ["dk-01", "dk-02", "dk-03"])
    goal = replace(begun.target, hosts=target.target(some, "v1", DIGEST).hosts)
    names = [f"dk-0{number}_{slot}" for number in range(1, 7) for slot in "ab"]
    up = {name: Server(name, name.endswith("a"), "ready", 0) for name in names}
    drained = {**up, "dk-06_a": Server("dk-06_a", True, "drain", 0)}
    reports = [report(host, "f" * 64) for host in goal.hosts]
    one = Begun(goal, "", 0)
    assert rollout.make_plan(None, one, reports, {"lb-01": up, "lb-02": up}).serial == (1, 2)
    assert rollout.make_plan(None, one, reports, {"lb-01": up, "lb-02": drained}).serial == (1, 1, 1)


def test_an_unreachable_host_stops_a_roll_before_it_begins(store: Store, begun: Begun) -> None:
    reports = [report(host) for host in list(begun.target.hosts)[1:]]
    lost = Report("dk-01", trouble="timed out", unreachable=True)
    with pytest.raises(UnreachableError, match=r"nothing was touched.*host dk-01: timed out"):
        rollout.make_plan(store, begun, [lost, *reports], {})
    with pytest.raises(DrcloudError, match="host dk-02: port 20000 is taken"):
        rollout.make_plan(store, begun, [Report("dk-02", trouble="port 20000 is taken"), *reports[1:]], {})


def test_a_registry_that_fails_is_not_the_failure_of_its_hosts(store: Store, begun: Begun) -> None:
    reports = [report(host) for host in list(begun.target.hosts)[3:]]
    refused = [Report(host, trouble="could not pull", kind="registry") for host in ("dk-01", "dk-02")]
    lost = Report("dk-03", trouble="timed out", unreachable=True)
    full = Report("dk-03", trouble="port 20000 is taken")
    with pytest.raises(UnreachableError, match="because the registry failed: host dk-01: could not pull; "):
        rollout.make_plan(store, begun, [*refused, report("dk-03"), *reports], {})
    found = {step.host: step.detail for step in ledger.steps(store, begun.deployment) if step.detail}
    assert {host: detail["kind"] for host, detail in found.items()} == dict.fromkeys(
        ("dk-01", "dk-02"), "registry"
    )
    with pytest.raises(UnreachableError, match="because not every host is ready"):
        rollout.make_plan(None, begun, [*refused, lost, *reports], {})
    with pytest.raises(DrcloudError, match="because not every host is ready") as mixed:
        rollout.make_plan(None, begun, [*refused, full, *reports], {})
    assert mixed.value.exit_code == ExitCode.FAILED


@pytest.mark.parametrize(
    ("states", "state", "code"),
    [
        (["done"] * 6, "succeeded", ExitCode.OK),
        (["unchanged"] * 6, "nothing-to-do", ExitCode.OK),
        (["done"] * 5 + ["unchanged"], "succeeded", ExitCode.OK),
        (["done", "reverted"] + ["pending"] * 4, "failed", ExitCode.FAILED),
        (["reverted"] + ["pending"] * 5, "reverted", ExitCode.FAILED),
        (["done", "unreachable"] + ["pending"] * 4, "failed", ExitCode.UNREACHABLE),
        (["done"] * 5 + ["pending"], "failed", ExitCode.FAILED),
    ],
)
def test_the_verdict(
    store: Store, begun: Begun, states: list[ledger.StepState], state: str, code: ExitCode
) -> None:
    for host, step in zip(begun.target.hosts, states, strict=True):
        if step != "pending":
            detail = {"reason": "because", "kind": "app"}
            ledger.commit(store, begun.deployment, host, begun.token, step, detail)
    verdict = rollout.finish(store, begun, "run-1")
    assert (verdict.state, verdict.exit_code) == (state, code)
    assert leases.held(store) == []
    with store.read() as session:
        row = session.scalars(select(Deployment)).one()
        assert (row.state, row.reason) == (state, verdict.message)
        assert row.ended_at is not None
        assert not [step for step in row.steps if step.state == "pending"]
        types = session.scalars(select(Outbox.type).where(Outbox.subject == "app:demo@prod")).all()
    assert list(types) == ["deployment.started", f"deployment.{state}"]


def test_a_stopped_roll_says_who_runs_what(store: Store, begun: Begun) -> None:
    detail = {"reason": "not healthy after 30 s: HTTP 503"}
    ledger.commit(store, begun.deployment, "dk-01", begun.token, "done", {})
    ledger.commit(store, begun.deployment, "dk-02", begun.token, "reverted", detail)
    assert rollout.finish(store, begun, "run-1").message == (
        "demo v1 in prod: stopped at dk-02 (back on what it ran before): not healthy after 30 s: HTTP 503 "
        "(on the new revision: dk-01; untouched: dk-03, dk-04, dk-05, dk-06)"
    )


def state_of(store: Store, host: str) -> str:
    with store.read() as session:
        return lookup.host(session, host).state


def stop_at(store: Store, begun: Begun, host: str, kind: str) -> None:
    """Let a roll switch every host before this one, and fail here."""
    reports = [report(name, "old") for name in begun.target.hosts]
    rollout.make_plan(store, begun, reports, {})
    for step in ledger.steps(store, begun.deployment):
        if step.host == host:
            detail = {"reason": "HTTP 503", "kind": kind}
            ledger.commit(store, begun.deployment, host, begun.token, "reverted", detail)
            return
        ledger.commit(store, begun.deployment, step.host, begun.token, "done", {})


def test_where_nothing_was_stable_there_is_no_way_back(store: Store, begun: Begun) -> None:
    stop_at(store, begun, "dk-05", "app")
    assert rollout.way_back(store, begun) == {}


def test_where_the_app_fails_every_switched_host_goes_back(store: Store, earlier: str, begun: Begun) -> None:
    stop_at(store, begun, "dk-05", "app")
    back = rollout.way_back(store, begun)
    done = [step.host for step in ledger.steps(store, begun.deployment) if step.state == "done"]
    assert sorted(back) == sorted(done)
    assert {one.target.revision for one in back.values()} == {earlier}
    assert rollout.back_at_once(begun.target) == 2
    assert rollout.back_at_once(replace(begun.target, min_in_service=6)) == 1
    assert {(one.deployment, one.token) for one in back.values()} == {(begun.deployment, begun.token)}
    for host in done:
        ledger.claim(store, begun.deployment, host, begun.token, ("done",))
        detail = {"reason": "put back to v0", "put_back": True}
        ledger.commit(store, begun.deployment, host, begun.token, "reverted", detail)
    verdict = rollout.finish(store, begun, "run-1")
    assert (verdict.state, verdict.exit_code) == ("reverted", ExitCode.FAILED)
    assert verdict.message.startswith(
        "demo v1 in prod: stopped at dk-05 (back on what it ran before): HTTP 503 "
        "(no host is on the new revision; put back: "
    )


@pytest.mark.parametrize("kind", ["host", "registry", "balancer", "capacity"])
def test_where_something_else_fails_what_was_rolled_stays(
    store: Store, earlier: str, begun: Begun, kind: str
) -> None:
    stop_at(store, begun, "dk-05", kind)
    assert rollout.way_back(store, begun) == {}


def test_a_host_that_is_lost_within_the_budget_is_quarantined_until_a_roll_names_it(
    store: Store, begun: Begun
) -> None:
    begun = replace(begun, budget=1)
    reports = [report(host, "old") for host in begun.target.hosts]
    lost = Report("dk-04", trouble="it does not answer over SSH (timed out)", unreachable=True)
    made = rollout.make_plan(store, begun, [lost if one.host == "dk-04" else one for one in reports], {})
    assert "dk-04" not in [step.host for step in made.steps]
    assert made.serial == (1, 1, 1, 1, 1), "of five hosts four have to stay"
    assert rollout.drain_lost(begun.target, ["dk-04"], {}) == [
        "set server demo_prod/dk-04_a state drain",
        "set server demo_prod/dk-04_b state drain",
    ]
    for step in made.rolled:
        ledger.commit(store, begun.deployment, step.host, begun.token, "done", {})
    ended = rollout.finish(store, begun, "run-1")
    assert (ended.state, ended.exit_code) == ("succeeded", ExitCode.UNREACHABLE)
    assert "lost and quarantined: dk-04 (`drcloud deploy demo v1 --env prod --limit dk-04`" in ended.message
    assert state_of(store, "dk-04") == "quarantined"
    assert "dk-04" not in target.find(store, "demo", "prod").hosts
    later = target.target(target.find(store, "demo", "prod", ["dk-04"]), "v1", DIGEST)
    uid = ledger.open_deployment(store, later, "run-2")
    ledger.commit(store, uid, "dk-04", 9, "done", {})
    rollout.finish(store, Begun(later, uid, 9), "run-2")
    assert state_of(store, "dk-04") == "active"


def test_a_lost_host_that_serves_is_drained_only_where_enough_others_do(begun: Begun) -> None:
    names = [f"dk-0{number}_{slot}" for number in range(1, 7) for slot in "ab"]
    up = {name: Server(name, name.endswith("a"), "ready", 0) for name in names}
    pools = {"lb-01": up, "lb-02": up}
    lines = rollout.drain_lost(begun.target, ["dk-01", "dk-02", "dk-03"], pools)
    assert {line.split("/")[1].partition("_")[0] for line in lines} == {"dk-01", "dk-02"}, "four must stay"
    down = {**up, "dk-03_a": Server("dk-03_a", False, "ready", 0)}
    lines = rollout.drain_lost(begun.target, ["dk-01", "dk-02", "dk-03"], {"lb-01": down, "lb-02": down})
    assert {line.split("/")[1].partition("_")[0] for line in lines} == {"dk-01", "dk-03"}


@pytest.mark.parametrize("kind", ["balancer", "capacity", "host", "registry"])
def test_a_roll_that_stopped_for_no_fault_of_the_app_can_be_resumed(
    store: Store, begun: Begun, kind: str
) -> None:
    detail = {"reason": "because", "kind": kind}
    ledger.commit(store, begun.deployment, "dk-01", begun.token, "reverted", detail)
    assert rollout.finish(store, begun, "run-1").state == "failed"
    target, _kind = rollout.aim(store, Wish("demo", "prod", way="resume"))
    assert target.digest == begun.target.digest


def test_a_lost_host_is_quarantined_whatever_change_is_open(store: Store, begun: Begun) -> None:
    guard = Wanted("environment", {"change_required": True}, "prod")
    objects.change(store, [guard], reason="from now on")
    for host in begun.target.hosts:
        state: ledger.StepState = "unreachable" if host == "dk-01" else "done"
        ledger.commit(store, begun.deployment, host, begun.token, state, {"reason": "gone", "kind": "host"})
    ended = rollout.finish(store, replace(begun, budget=1), "run-1")
    assert (ended.state, ended.exit_code) == ("succeeded", ExitCode.UNREACHABLE)
    assert state_of(store, "dk-01") == "quarantined"
    again = ledger.open_deployment(store, begun.target, "run-2")
    for host in begun.target.hosts:
        ledger.commit(store, again, host, 9, "done", {})
    rollout.finish(store, Begun(begun.target, again, 9), "run-2")
    assert state_of(store, "dk-01") == "active"


def test_the_present_image_is_rolled_with_the_settings_of_today(store: Store, earlier: str) -> None:
    wish = Wish("demo", "prod", way="current")
    goal, kind = rollout.aim(store, wish)
    assert (goal.tag, goal.digest, goal.revision, kind) == ("v0", OTHER, earlier, "deploy")
    appconfig.change(store, "demo", "prod", lambda _known: {"GREETING": "new"}, reason="a test")
    goal, _kind = rollout.aim(store, wish)
    assert (goal.digest, goal.spec["env"]["GREETING"]) == (OTHER, "new")
    assert goal.revision != earlier


def test_there_is_no_present_image_before_a_deployment_succeeded(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no deployment of demo in prod succeeded yet: deploy a tag"):
        rollout.aim(store, Wish("demo", "prod", way="current"))


def test_one_lost_host_too_many_stops_the_roll(store: Store, begun: Begun) -> None:
    for host in ("dk-01", "dk-02"):
        detail = {"reason": "gone", "kind": "host"}
        ledger.commit(store, begun.deployment, host, begun.token, "unreachable", detail)
    steps = ledger.steps(store, begun.deployment)
    assert verdict.stopped_by(steps, 2) is None
    assert verdict.stopped_by(steps, 1) is not None
    ended = rollout.finish(store, begun, "run-1")
    assert (ended.state, ended.exit_code) == ("failed", ExitCode.UNREACHABLE)
    assert [state_of(store, host) for host in ("dk-01", "dk-02", "dk-03")] == [
        "quarantined",
        "quarantined",
        "active",
    ]


def test_what_a_person_quarantined_is_not_rolled_to(store: Store, begun: Begun) -> None:
    with store.write(reason="smells of smoke") as session:
        hosts.transition(session, lookup.host(session, "dk-04"), "quarantined")
    assert "dk-04" not in target.find(store, "demo", "prod").hosts
    with pytest.raises(InvalidInputError, match="host dk-04 is quarantined, not active"):
        target.find(store, "demo", "prod", ["dk-04"])


def test_a_rollback_is_never_rolled_back(store: Store, earlier: str, begun: Begun) -> None:
    stop_at(store, begun, "dk-05", "app")
    with store.operate() as session:
        mine = session.scalars(select(Deployment).where(Deployment.uid == begun.deployment)).one()
        mine.plan = {**mine.plan, "kind": "rollback"}
    assert rollout.way_back(store, begun) == {}


def test_a_rollback_and_a_resume_ask_a_registry_and_wait_for_none(
    store: Store, earlier: str, registry: Callable[[bool], None]
) -> None:
    known = target.target(target.find(store, "demo", "prod"), "v1", conftest.DIGEST)
    ledger.open_deployment(store, known, "run-1")
    registry(True)
    assert rollout.aim(store, Wish("demo", "prod", way="resume"))[0].layers == {conftest.LAYER: 5_000_000}
    # Not the image of the rollback: what the registry does not have the hosts may have all the same.
    assert rollout.aim(store, Wish("demo", "prod", way="rollback"))[0].layers == {}
    registry(False)
    assert rollout.aim(store, Wish("demo", "prod", way="resume")) == (known, "deploy")
    observations.record_facts(store, "dk-02", {"kernel": {"machine": "aarch64"}})
    registry(True)
    with pytest.raises(WrongPlatformError, match="demo v1 is an image for linux/amd64, which host dk-02"):
        rollout.aim(store, Wish("demo", "prod", way="resume"))


def test_a_rollback_and_a_resume_go_on_where_the_registry_is_silent(
    store: Store, earlier: str, begun: Begun, registry: Callable[[bool], None]
) -> None:
    registry(False)
    goal, kind = rollout.aim(store, Wish("demo", "prod", way="rollback"))
    assert (goal.revision, goal.tag, kind) == (earlier, "v0", "rollback")
    goal, kind = rollout.aim(store, Wish("demo", "prod", way="resume"))
    assert (goal.revision, goal.tag, kind) == (begun.target.revision, "v1", "deploy")


def test_a_resume_goes_over_the_hosts_of_what_it_resumes(store: Store) -> None:
    some = target.find(store, "demo", "prod", ["dk-02", "dk-05"])
    ledger.open_deployment(store, target.target(some, "v1", DIGEST), "run-1")
    goal, _kind = rollout.aim(store, Wish("demo", "prod", way="resume"))
    assert list(goal.hosts) == ["dk-02", "dk-05"]
    goal, _kind = rollout.aim(store, Wish("demo", "prod", only=("dk-01",), way="resume"))
    assert list(goal.hosts) == ["dk-01"]


def test_a_resume_leaves_out_hosts_that_left_the_placement(store: Store) -> None:
    ledger.open_deployment(store, target.target(target.find(store, "demo", "prod"), "v1", DIGEST), "run-1")
    with store.write(reason="fewer") as session:
        placement = lookup.placement(session, "demo", "prod")
        placement.members = [member for member in placement.members if member.host.name != "dk-03"]
    goal, _kind = rollout.aim(store, Wish("demo", "prod", way="resume"))
    assert sorted(goal.hosts) == ["dk-01", "dk-02", "dk-04", "dk-05", "dk-06"]


def test_a_resume_whose_hosts_are_all_gone_says_so(store: Store) -> None:
    some = target.find(store, "demo", "prod", ["dk-02"])
    ledger.open_deployment(store, target.target(some, "v1", DIGEST), "run-1")
    with store.write(reason="fewer") as session:
        placement = lookup.placement(session, "demo", "prod")
        placement.members = [member for member in placement.members if member.host.name != "dk-02"]
    with pytest.raises(NotFoundError, match="none of the hosts of the last deployment of demo in prod"):
        rollout.aim(store, Wish("demo", "prod", way="resume"))


def test_a_rollback_has_the_settings_of_its_time(store: Store, earlier: str) -> None:
    with store.write(reason="another port") as session:
        app = lookup.app(session, "demo")
        document = {**app.specs[-1].document, "port": 9090}
        session.add(AppSpecVersion(app=app, number=2, document=document))
        app.spec_version = 2
    assert target.target(target.find(store, "demo", "prod"), "v0", OTHER).revision != earlier
    goal, _kind = rollout.aim(store, Wish("demo", "prod", "v0", way="rollback"))
    assert (goal.revision, goal.spec["port"], goal.spec_version) == (earlier, 8080, 1)


def test_who_fell_out_of_service_after_it_was_switched(store: Store, begun: Begun) -> None:
    names = [f"{host}_{slot}" for host in begun.target.hosts for slot in "ab"]
    pool = {name: Server(name, name.endswith("a"), "ready", 0) for name in names}
    down = {**pool, "dk-02_a": Server("dk-02_a", False, "ready", 0)}
    for host in ("dk-01", "dk-02"):
        ledger.commit(store, begun.deployment, host, begun.token, "done", {})
    steps = ledger.steps(store, begun.deployment)
    assert rollout.fallen(begun, steps, {"lb-01": pool, "lb-02": pool}) == {}
    assert rollout.fallen(begun, steps, {"lb-01": pool, "lb-02": down}) == {
        "dk-02": "fell out of service at load balancer lb-02 after it was switched"
    }
    assert ledger.fail(store, begun.deployment, "dk-02", begun.token, "failed", {"reason": "fell"})
    assert not ledger.fail(store, begun.deployment, "dk-02", begun.token, "failed", {"reason": "again"})


def test_a_deployment_whose_controller_died_is_lost(store: Store, begun: Begun) -> None:
    second = ledger.open_deployment(store, begun.target, "run-2")
    with pytest.raises(LockedError):
        ledger.claim(store, begun.deployment, "dk-01", begun.token)
    with store.read() as session:
        lost = session.scalars(select(Deployment).where(Deployment.uid == begun.deployment)).one()
        assert (lost.state, second in lost.reason) == ("lost", True)


def test_the_second_of_two_deploys_is_told_who_holds_the_lock(
    store: Store, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "resolve", lambda wanted, tag: begun.target)
    with pytest.raises(LockedError, match="app:demo@prod is locked by run-1 for deploy since"):
        rollout.begin(store, Wish("demo", "prod", "v1"), run="run-2", controller=os.getpid())
    with store.read() as session:
        assert len(session.scalars(select(Deployment)).all()) == 1


def test_a_heartbeat_ends_with_its_process_and_with_its_lease(store: Store) -> None:
    heartbeat.beat(store, "nobody", os.getpid())
    leases.acquire(store, [("x", True)], holder="h", purpose="", ttl=timedelta(seconds=5))
    heartbeat.beat(store, "h", 2**22 + 1)
    assert heartbeat.started_at(os.getpid()) is not None


def test_status_compares_what_should_run_with_what_was_seen(store: Store, begun: Begun) -> None:
    assert {row.state for row in status.read(store)} == {"not deployed"}
    revision = begun.target.revision
    for host in begun.target.hosts:
        ledger.commit(store, begun.deployment, host, begun.token, "done", {})
    rollout.finish(store, begun, "run-1")
    observe.record(store, "dk-01", report("dk-01", revision).instances, "test")
    observe.record(store, "dk-02", report("dk-02", "other").instances, "test")
    observe.record(store, "dk-03", [], "test")
    sick = [{**entry, "health": "unhealthy"} for entry in report("dk-04", revision).instances]
    observe.record(store, "dk-04", sick, "test")
    gone = [
        {**entry, "status": "exited", "health": "stopped"} for entry in report("dk-05", revision).instances
    ]
    observe.record(store, "dk-05", gone, "test")
    assert {row.host: row.state for row in status.read(store, "demo", "prod")} == {
        "dk-01": "ok",
        "dk-02": "differs",
        "dk-03": "missing",
        "dk-04": "unhealthy",
        "dk-05": "stopped",
        "dk-06": "not seen",
    }


def test_health_of_an_app_that_was_not_asked_stays(store: Store) -> None:
    observe.record(store, "dk-01", report("dk-01", "r1").instances, "test")
    unasked = [{**entry, "health": "unknown"} for entry in report("dk-01", "r1").instances]
    observe.record(store, "dk-01", unasked, "test")
    assert status.read(store)[0].seen is not None
    assert status.read(store)[0].seen.health == "healthy"  # type: ignore[union-attr]
