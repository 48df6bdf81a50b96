"""What can be asked after a roll: history and drift, read from a ledger and from observations."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cli.border import guarded
from drcloud.cli.main import app as command
from drcloud.cmdb import leases, lookup, objects
from drcloud.cmdb.base import now
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery import drifts, history, ledger, observe, rollout, service, status, target
from drcloud.delivery.rollout import Begun
from drcloud.errors import InvalidInputError, NotFoundError, NothingMatchedError
from drcloud.exitcodes import ExitCode

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
HOSTS = [f"dk-0{number}" for number in range(1, 7)]


def begin(store: Store, tag: str, digest: str, run: str) -> Begun:
    goal = target.target(target.find(store, "demo", "prod"), tag, digest)
    names = [("app:demo@prod", True)]
    tokens = leases.acquire(store, names, holder=run, purpose="deploy", ttl=timedelta(minutes=1))
    return Begun(goal, ledger.open_deployment(store, goal, run), tokens["app:demo@prod"])


def roll(store: Store, tag: str, digest: str, run: str, bad: str | None = None) -> Begun:
    """A roll to its end; with ``bad``, a host that is put back and stops it."""
    begun = begin(store, tag, digest, run)
    for host in HOSTS:
        if host == bad:
            detail = {"reason": "HTTP 503", "kind": "app", "logs": ["boom"], "times": {"healthy": 1.5}}
            ledger.commit(store, begun.deployment, host, begun.token, "reverted", detail, "a")
            break
        ledger.commit(store, begun.deployment, host, begun.token, "done", {"reason": "switched"}, "b")
    rollout.finish(store, begun, run)
    return begun


def instance(begun: Begun, **changes: Any) -> dict[str, Any]:
    goal = begun.target
    return {
        **{"name": f"demo_prod_b_{goal.revision[:8]}", "app": "demo", "env": "prod", "slot": "b"},
        **{"tag": goal.tag, "digest": goal.digest, "revision": goal.revision},
        **{"deployment": begun.deployment, "status": "running", "health": "healthy", "started_at": ""},
        **changes,
    }


def drcloud(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    def call(**options: Any) -> Any:
        return command(list(words), **options)

    code = guarded(call)  # type: ignore[arg-type]
    said = capsys.readouterr()
    return int(code), said.out, said.err


def test_deployments_come_newest_first_with_how_they_went(store: Store) -> None:
    roll(store, "t1", OLD, "run-1")
    roll(store, "t2", NEW, "run-2", bad="dk-02")
    last, first = history.entries(store, "demo", "prod")
    assert (first.tag, first.state, first.hosts) == ("t1", "succeeded", {"done": 6})
    assert (last.tag, last.state, last.run) == ("t2", "failed", "run-2")
    assert last.hosts == {"done": 1, "reverted": 1, "skipped": 4}
    assert "stopped at dk-02" in last.reason
    assert last.seconds is not None
    assert 0 <= last.seconds < 60
    assert [one.tag for one in history.entries(store, limit=1)] == ["t2"]
    assert history.entries(store, "demo", "qa") == []
    with pytest.raises(NotFoundError, match="there is no app 'dmo' in the CMDB: did you mean demo"):
        history.entries(store, "dmo")


def test_a_deployment_is_told_host_by_host(store: Store) -> None:
    begun = roll(store, "t2", NEW, "run-2", bad="dk-02")
    told = history.one(store, begun.deployment[:6])
    assert told == history.one(store, begun.deployment.upper())
    assert [step.host for step in told.steps] == HOSTS
    second = told.steps[1]
    assert (second.state, second.slot, second.reason, second.kind) == ("reverted", "a", "HTTP 503", "app")
    assert (second.logs, dict(second.times)) == (("boom",), {"healthy": 1.5})
    document = json.loads(json.dumps(told.as_document()))
    assert document["steps"][1]["logs"] == ["boom"]
    assert document["started_at"].endswith("+00:00")


def test_a_deployment_is_named_by_enough_of_its_id(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="at least 4 characters"):
        history.one(store, "abc")
    with pytest.raises(NotFoundError, match="there is no deployment 'ffff'"):
        history.one(store, "ffff")
    goal = target.target(target.find(store, "demo", "prod"), "t1", OLD)
    for end in "12":
        ledger.open_deployment(store, goal, None, f"abcdef00-{end}")
    with pytest.raises(InvalidInputError, match="several deployments begin with abcdef"):
        history.one(store, "abcdef")
    with pytest.raises(NotFoundError):
        history.one(store, "____")


def test_a_deployment_whose_lock_is_gone_is_told_apart_from_one_that_runs(store: Store) -> None:
    begin(store, "t1", OLD, "run-1")
    assert [(one.state, one.abandoned) for one in history.entries(store)] == [("running", False)]
    leases.release(store, "run-1")
    assert [(one.state, one.abandoned) for one in history.entries(store)] == [("running", True)]


def test_the_kinds_of_drift_and_their_exit_codes(store: Store) -> None:
    assert drifts.read(store).exit_code == ExitCode.OK  # nothing was deployed, so nothing can drift
    begun = roll(store, "t1", OLD, "run-1")
    seen = {
        "dk-01": [instance(begun)],
        "dk-02": [instance(begun, tag="t2", digest=NEW, revision="0" * 64)],
        "dk-03": [instance(begun, status="exited", health="stopped")],
        "dk-04": [],
        "dk-05": [instance(begun, health="unhealthy")],
        "dk-06": [instance(begun, image_digest=NEW)],
        "lb-01": [instance(begun)],
    }
    for host, instances in seen.items():
        observe.record(store, host, instances, "test")
    report = drifts.read(store)
    assert {line.drift.host: line.drift.kind for line in report.lines} == {
        "dk-02": "image",
        "dk-03": "stopped",
        "dk-04": "missing",
        "dk-05": "unhealthy",
        "dk-06": "image",
        "lb-01": "unplaced",
    }
    assert (report.exit_code, report.compared) == (ExitCode.DRIFT, 6)
    assert report.oldest is not None
    document = json.loads(json.dumps(report.as_document()))
    assert document["drift"][0]["desired"]["digest"] == OLD
    assert document["drift"][0]["seen"]["digest"] == NEW


def test_what_somebody_did_by_hand_is_told_without_values(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = roll(store, "t1", OLD, "run-1")
    for host in HOSTS:
        observe.record(store, host, [instance(begun)], "test", strangers=[])
    observe.record(store, "dk-01", [instance(begun, differs=["env", "mounts"])], "test")
    observe.record(store, "dk-02", [instance(begun, differs=["record"])], "test", strangers=["redis"])
    observe.record(store, "dk-03", [instance(begun, differs=["limits"], health="unhealthy")], "test")
    observe.record(store, "dk-04", [instance(begun, differs=["record"], image_digest=NEW)], "test")
    assert {(line.drift.host, line.drift.kind): line.meaning for line in drifts.read(store).lines} == {
        ("dk-01", "spec"): "the right image runs with other settings; changed by hand: env, mounts",
        ("dk-02", "unknown"): "no roll made it",
        ("dk-03", "unhealthy"): "it runs and does not work; changed by hand: limits",
        ("dk-04", "image"): "another image runs; no roll made it",
    }
    code, out, _err = drcloud(capsys, "drift", "--json")
    assert code == ExitCode.DRIFT
    found = [(one["host"], one["container"]) for one in json.loads(out)["drift"]]
    assert ("dk-02", "redis") in found
    assert len(found) == 5
    code, out, _err = drcloud(capsys, "drift", "--app", "demo")
    assert (code, "redis" in out) == (ExitCode.DRIFT, False)
    code, out, _err = drcloud(capsys, "drift")
    assert (code, "redis" in out, "of 6 compared 5 drifted" in out) == (ExitCode.DRIFT, True, True)
    states = {row.host: row.state for row in status.read(store)}
    assert (states["dk-01"], states["dk-02"], states["dk-05"]) == ("differs", "differs", "ok")
    # A roll does not ask for others: what was seen of them stays until somebody looks.
    observe.record(store, "dk-02", [instance(begun)], "deploy")
    assert [line.drift.container for line in drifts.read(store).lines if line.drift.host == "dk-02"] == [
        "redis"
    ]
    observe.record(store, "dk-02", [instance(begun)], "observe", strangers=[])
    assert [line for line in drifts.read(store).lines if line.drift.host == "dk-02"] == []


def test_what_somebody_changed_does_not_keep_a_host_from_serving(store: Store) -> None:
    begun = roll(store, "t1", OLD, "run-1")
    observe.record(store, "dk-01", [instance(begun, differs=["limits"])], "test", strangers=["redis"])
    observe.record(store, "dk-02", [instance(begun, differs=["limits"], health="unhealthy")], "test")
    assert service.standing(store, "dk-01") == {"demo_prod": ""}
    assert service.standing(store, "dk-02") == {"demo_prod": "it runs and does not work"}


def test_a_host_that_nobody_looked_at_is_incomplete_coverage(store: Store) -> None:
    begun = roll(store, "t1", OLD, "run-1")
    for host in HOSTS[:5]:
        observe.record(store, host, [instance(begun)], "test")
    report = drifts.read(store, "demo", "prod")
    assert [(line.drift.host, line.drift.kind) for line in report.lines] == [("dk-06", "not_seen")]
    assert report.exit_code == ExitCode.INCOMPLETE
    observe.record(store, "dk-06", [], "test")
    assert drifts.read(store).exit_code == ExitCode.DRIFT
    later = drifts.read(store, at=now() + timedelta(days=2))
    assert {line.drift.kind for line in later.lines} == {"stale", "missing"}
    assert later.exit_code == ExitCode.INCOMPLETE
    with pytest.raises(NothingMatchedError, match="no placement of demo in qa"):
        drifts.read(store, "demo", "qa")


def test_the_settings_that_differ_are_named_without_their_values(store: Store) -> None:
    old = roll(store, "t1", OLD, "run-1")
    with store.read() as session:
        document = dict(lookup.spec(session, lookup.app(session, "demo")).document)
    document["resources"] = {"memory": "64m"}
    document["overrides"] = {"prod": {"env": {"A": "secret-looking"}}}
    objects.change(
        store,
        [
            Wanted("app_spec_version", {"app": "demo", "number": 2, "document": document}),
            Wanted("app", {"spec_version": 2}, "demo"),
        ],
        reason="more memory",
    )
    roll(store, "t1", OLD, "run-2")
    for host in HOSTS:
        observe.record(store, host, [instance(old)], "test")
    lines = drifts.read(store).lines
    assert {line.drift.kind for line in lines} == {"spec"}
    assert lines[0].settings == ("env.A", "resources.memory")
    assert "secret-looking" not in json.dumps([line.as_document() for line in lines])
    with store.operate() as session:
        session.delete(session.scalars(select(Deployment).where(Deployment.uid == old.deployment)).one())
    assert drifts.read(store).lines[0].settings == ()


@pytest.mark.parametrize(
    ("wanted", "had", "names"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"env": {"A": "1", "B": "2"}}, {"env": {"A": "1"}}, ["env.B"]),
        ({}, {"env": {"A": "1"}}, ["env.A"]),
        ({"user": "1"}, {"user": None, "cap_add": ["X"]}, ["cap_add", "user"]),
        ({"user": {"a": 1}}, {"user": "x"}, ["user"]),
    ],
)
def test_differing(wanted: dict[str, Any], had: dict[str, Any], names: list[str]) -> None:
    assert drifts.differing(wanted, had) == names


def test_the_commands(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert drcloud(capsys, "history", "demo", "--env", "prod") == (
        0,
        "nothing was deployed of demo in prod yet\n",
        "",
    )
    roll(store, "t1", OLD, "run-1")
    begun = roll(store, "t2", NEW, "run-2", bad="dk-02")
    code, out, err = drcloud(capsys, "history", "demo", "--env", "prod")
    assert (code, err) == (0, "")
    assert "1 done, 1 reverted, 4 skipped" in out
    assert out.index("t2") < out.index("t1")
    code, out, _err = drcloud(capsys, "history", "--deployment", begun.deployment[:8])
    assert code == 0
    assert "HTTP 503 (app)" in out
    assert "boom" in out
    code, out, _err = drcloud(capsys, "history", "--json", "--limit", "1")
    assert [one["tag"] for one in json.loads(out)["deployments"]] == ["t2"]
    code, _out, err = drcloud(capsys, "history", "demo", "--deployment", begun.deployment)
    assert (code, "leave the app and --env out" in err) == (2, True)
    code, out, _err = drcloud(capsys, "drift")
    assert code == ExitCode.INCOMPLETE
    assert "of 6 compared none drifted, of 6 it is not known; no host was ever looked at" in out
    code, out, _err = drcloud(capsys, "drift", "--app", "demo", "--env", "prod", "--json")
    assert {line["kind"] for line in json.loads(out)["drift"]} == {"not_seen"}
