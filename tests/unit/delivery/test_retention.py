"""What a host keeps to go back to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.delivery import ledger, observe, retention, rollout, target
from drcloud.delivery.retention import Rolled
from drcloud.delivery.rollout import Begun
from drcloud.errors import NotFoundError, NothingMatchedError


def rolled(revision: str, state: str = "succeeded", step: str | None = "done", previous: str = "") -> Rolled:
    return Rolled(revision, f"sha256:{revision}", state, step, previous or None)


CASES: list[tuple[str, list[Rolled], set[str]]] = [
    ("nothing", [], set()),
    ("one", [rolled("r1")], {"r1"}),
    (
        "two stable ones, newest first",
        [rolled("r1"), rolled("r2", previous="r1"), rolled("r3", previous="r2")],
        {"r3", "r2"},
    ),
    (
        "the same one twice is one",
        [rolled("r1"), rolled("r2"), rolled("r3"), rolled("r3", "nothing-to-do", "unchanged")],
        {"r3", "r2"},
    ),
    (
        "back to an older one",
        [rolled("r1"), rolled("r2", previous="r1"), rolled("r1", previous="r2")],
        {"r1", "r2"},
    ),
    (
        "a failed one in the end may be gone on with",
        [rolled("r1"), rolled("r2"), rolled("r9", "failed", "reverted", "r2")],
        {"r1", "r2", "r9"},
    ),
    (
        "a failed one in between may not",
        [rolled("r1"), rolled("r9", "failed", "reverted", "r1"), rolled("r2", previous="r1")],
        {"r1", "r2"},
    ),
    (
        "what this host ran, which was never stable anywhere",
        [rolled("r1"), rolled("r2"), rolled("r3", previous="r0")],
        {"r0", "r2", "r3"},
    ),
    (
        "a host that was not touched since",
        [rolled("r1", previous="r0"), rolled("r2", step=None), rolled("r3", step="skipped", previous="r1")],
        {"r0", "r2", "r3"},
    ),
    (
        "one that runs, however old",
        [rolled("r5", "running", "pending", "r4"), rolled("r1"), rolled("r2"), rolled("r3")],
        {"r2", "r3", "r4", "r5"},
    ),
    ("nothing was ever stable", [rolled("r1", "failed", "failed")], {"r1"}),
]


@pytest.mark.parametrize(
    ("deployments", "kept"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_keep(deployments: list[Rolled], kept: set[str]) -> None:
    assert retention.keep(deployments) == kept


def test_more_is_kept_where_more_is_asked_for() -> None:
    found = [rolled(f"r{number}", previous=f"r{number - 1}") for number in range(1, 6)]
    assert retention.keep(found, 1) == {"r5", "r4"}  # what this host ran before is kept in any case
    assert retention.keep(found, 4) == {"r5", "r4", "r3", "r2"}
    assert retention.keep(found, 99) == {f"r{number}" for number in range(1, 6)}


def roll(store: Store, tag: str, digest: str, run: str) -> Begun:
    goal = target.target(target.find(store, "demo", "prod"), tag, digest)
    tokens = leases.acquire(
        store, [("app:demo@prod", True)], holder=run, purpose="deploy", ttl=timedelta(minutes=1)
    )
    begun = Begun(goal, ledger.open_deployment(store, goal, run), tokens["app:demo@prod"])
    for host in goal.hosts:
        ledger.commit(store, begun.deployment, host, begun.token, "done", {}, "a")
    rollout.finish(store, begun, run)
    return begun


def test_the_ledger_of_a_cmdb_is_read_for_a_host(store: Store) -> None:
    with pytest.raises(NothingMatchedError, match="names no deployment at all"):
        retention.read(store, "dk-01")
    made = [roll(store, f"t{number}", f"sha256:{number:064}", f"run-{number}") for number in range(1, 4)]
    document = retention.read(store, "dk-01").as_document()
    assert document == {
        "keep": [
            {
                "app": "demo",
                "env": "prod",
                "revisions": sorted(one.target.revision for one in made[1:]),
            }
        ],
        "digests": [one.target.digest for one in made[1:]],
        "repositories": ["registry.test:5000/dianrong/demo"],
    }
    assert len(retention.read(store, "lb-01", retain=3).apps[0].revisions) == 3
    with pytest.raises(NotFoundError, match="there is no host 'dk-99'"):
        retention.read(store, "dk-99")


def test_who_is_asked_for_health_and_how(store: Store) -> None:
    [probe] = observe.probes(store, "dk-02")
    slots = probe.pop("slots")
    assert sorted(slots) == ["a", "b"]
    assert slots["a"] != slots["b"]
    expected: dict[str, Any] = {"app": "demo", "env": "prod", "address": "10.90.0.12"}
    assert probe == {**expected, "kind": "http", "path": "/healthz", "command": [], "timeout": 2.0}
    assert observe.probes(store, "lb-01") == []
