"""History and drift are read alike from SQLite and from PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drcloud.cmdb import hosts, importer, leases, lookup
from drcloud.cmdb.store import Store
from drcloud.delivery import drifts, history, ledger, observe, rollout, target
from drcloud.delivery.rollout import Begun
from drcloud.errors import NotFoundError
from drcloud.exitcodes import ExitCode

LAB = Path(__file__).parents[3] / "inventories/lab/idc.yml"
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
def store(cmdb_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The lab as it is declared, with its hosts in service."""
    monkeypatch.setenv("DRCLOUD_CMDB_URL", cmdb_url)
    store = Store.open(cmdb_url)
    importer.import_files(store, importer.Request((LAB,)))
    with store.write(reason="in service") as session:
        for name in lookup_members(store):
            for state in ("provisioning", "active"):
                hosts.transition(session, lookup.host(session, name), state)
    return store


def lookup_members(store: Store) -> list[str]:
    with store.read() as session:
        return [member.host.name for member in lookup.placement(session, "demo", "prod").members]


def roll(store: Store, tag: str, digest: str, run: str, bad: str = "") -> Begun:
    goal = target.target(target.find(store, "demo", "prod"), tag, digest)
    tokens = leases.acquire(
        store, [("app:demo@prod", True)], holder=run, purpose="", ttl=timedelta(minutes=1)
    )
    begun = Begun(goal, ledger.open_deployment(store, goal, run), tokens["app:demo@prod"])
    for host in goal.hosts:
        state: Any = "failed" if host == bad else "done"
        detail = {"reason": "坏了", "logs": ["最后一行"]} if host == bad else {"reason": "switched"}
        ledger.commit(store, begun.deployment, host, begun.token, state, detail, "a")
    rollout.finish(store, begun, run)
    return begun


def instance(begun: Begun, **changes: Any) -> dict[str, Any]:
    goal = begun.target
    return {
        **{"name": f"demo_prod_a_{goal.revision[:8]}", "app": "demo", "env": "prod", "slot": "a"},
        **{"tag": goal.tag, "digest": goal.digest, "revision": goal.revision},
        **{"deployment": begun.deployment, "status": "running", "health": "healthy"},
        **{"started_at": "2026-11-22T17:00:00.123456789Z", **changes},
    }


def test_history(store: Store) -> None:
    members = lookup_members(store)
    first = roll(store, "t1", OLD, "run-1")
    second = roll(store, "t2", NEW, "run-2", bad=members[0])
    found = history.entries(store, "demo", "prod")
    assert [(one.uid, one.state, one.abandoned) for one in found] == [
        (second.deployment, "failed", False),
        (first.deployment, "succeeded", False),
    ]
    assert dict(found[0].hosts) == {"done": len(members) - 1, "failed": 1}
    assert [one.uid for one in history.entries(store, limit=1)] == [second.deployment]
    told = history.one(store, second.deployment[:13])
    assert (told.steps[0].host, told.steps[0].state) == (members[0], "failed")
    assert told.steps[0].logs == ("最后一行",)
    # A sign of LIKE is a sign like any other.
    with pytest.raises(NotFoundError):
        history.one(store, "%%%%")


def test_drift(store: Store) -> None:
    members = lookup_members(store)
    begun = roll(store, "t1", OLD, "run-1")
    seen = {host: [instance(begun)] for host in members[1:]}
    seen[members[1]] = [instance(begun, image_digest=NEW)]
    seen["infra-01"] = [instance(begun)]
    for host, instances in seen.items():
        observe.record(store, host, instances, "test")
    report = drifts.read(store, "demo", "prod")
    assert [(line.drift.host, line.drift.kind) for line in report.lines] == [
        (members[0], "not_seen"),
        (members[1], "image"),
        ("infra-01", "unplaced"),
    ]
    assert (report.exit_code, report.compared) == (ExitCode.INCOMPLETE, len(members))
    assert report.oldest is not None
    assert report.oldest.tzinfo is not None
    # What was changed by hand is kept among a host's facts.
    observe.record(store, members[1], [instance(begun, differs=["env"])], "test", strangers=["数据库"])
    found = [line for line in drifts.read(store).lines if line.drift.host == members[1]]
    assert [(line.drift.kind, line.drift.container, line.by_hand) for line in found] == [
        ("spec", "", ("env",)),
        ("unknown", "数据库", ()),
    ]
