"""The controller's steps of provision: what a check foretells, and locks that end with the playbook."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store

from .conftest import Controller

NAMES = ["dk-01", "dk-02"]
LOCKS = [f"host:{name}" for name in NAMES]
BEGUN: dict[str, Any] = {
    "dianrong.cloud.cmdb_host": {"names": NAMES, "only_from": ["planned"], "state": "provisioning"},
    "register": "begun",
}
SERVING: dict[str, Any] = {
    "dianrong.cloud.cmdb_host": {
        "names": NAMES,
        "only_from": ["provisioning"],
        "state": "active",
        "foretold": "{{ begun.moved }}",
    },
    "register": "serving",
}
LEASE: dict[str, Any] = {
    "dianrong.cloud.lease": {"locks": LOCKS, "purpose": "provision"},
    "register": "lease",
}


def told(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("changed", "moved", "changes", "diff")}


def test_a_check_foretells_the_way_of_a_new_host_into_service(controller: Controller) -> None:
    checked = controller.results([{**task, "check_mode": True} for task in (BEGUN, SERVING)])
    assert {row.state for row in snapshot.read(Store.open(controller.url)).hosts} == {"planned"}
    done = controller.results([BEGUN, SERVING])
    assert done["serving"]["moved"] == NAMES
    assert told(checked["begun"]) == told(done["begun"])
    assert told(checked["serving"]) == told(done["serving"])
    # Nothing is foretold of hosts that are there already.
    again = controller.results([BEGUN, {**SERVING, "check_mode": True}])
    assert (again["begun"]["changed"], again["serving"]["changed"]) == (False, False)


def test_locks_end_with_the_playbook_that_took_them(controller: Controller) -> None:
    store = Store.open(controller.url)
    found = controller.results([LEASE, {**LEASE, "register": "joined"}])
    assert set(found["lease"]["tokens"]) == set(LOCKS)
    assert found["joined"]["tokens"] == found["lease"]["tokens"]
    deadline = time.monotonic() + 20
    while leases.held(store):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_locks_of_another_are_refused_by_name_and_a_check_takes_none(controller: Controller) -> None:
    store = Store.open(controller.url)
    leases.acquire(store, [("host:dk-02", False)], holder="r-1", purpose="deploy", ttl=timedelta(minutes=5))
    checked = controller.results([{**LEASE, "check_mode": True}])
    assert checked["lease"]["tokens"] == {}
    refused = controller.results([{**LEASE, "failed_when": False}])
    assert "host:dk-02 is locked by r-1 for deploy since" in refused["lease"]["msg"]
    assert refused["lease"]["dr_exit_code"] == 5
    assert [lease.name for lease in leases.held(store)] == ["host:dk-02"]
