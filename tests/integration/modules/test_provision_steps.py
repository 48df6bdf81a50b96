"""The controller's steps of provision: what a check foretells, and locks that end with the playbook."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import yaml

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store

from .conftest import REPOSITORY, Controller

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


def begin(controller: Controller, limit: str) -> subprocess.CompletedProcess[str]:
    """Take the locks as provision does, of a site with two load balancers, and tell them."""
    pools = {"lb-01": ["demo_prod", "shop_qa"], "lb-02": ["demo_prod"]}
    hosts = {name: {"dr_lb_pools": [{"name": pool} for pool in held]} for name, held in pools.items()}
    site = {"role_lb": {"hosts": hosts}, "role_docker": {"hosts": {"dk-01": {}}}}
    inventory = controller.directory / "site.yml"
    inventory.write_text(yaml.safe_dump({"all": {"children": site}}), "utf-8")
    playbook = (REPOSITORY / "collections/dianrong/cloud/playbooks/provision.yml").read_text("utf-8")
    lease = next(task for play in yaml.safe_load(playbook) for task in play["tasks"] if _takes_locks(task))
    tell = {"ansible.builtin.debug": {"msg": "@{{ lease.tokens | sort | to_json }}@"}, "run_once": True}
    play = {
        "hosts": "all",
        "connection": "local",
        "vars": {"ansible_python_interpreter": sys.executable},
        "gather_facts": False,
        "tasks": [{**lease, "register": "lease"}, tell],
    }
    return controller.play([play], "-i", str(inventory), "--limit", limit)


def _takes_locks(task: dict[str, Any]) -> bool:
    return "dianrong.cloud.lease" in task


def taken(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return list(json.loads(done.stdout.split("@")[1].replace('\\"', '"')))


def test_provision_has_hosts_and_the_pools_of_load_balancers_to_itself(controller: Controller) -> None:
    store = Store.open(controller.url)
    leases.acquire(
        store, [("lb:demo_prod", False)], holder="r-1", purpose="deploy demo", ttl=timedelta(minutes=5)
    )
    refused = begin(controller, "dk-01,lb-02")
    assert refused.returncode != 0
    assert "lb:demo_prod is locked by r-1 for deploy demo since" in " ".join(refused.stdout.split())
    leases.release(store, "r-1")
    wanted = ["host:dk-01", "host:lb-01", "lb:demo_prod", "lb:shop_qa"]
    assert taken(begin(controller, "dk-01,lb-01")) == wanted
