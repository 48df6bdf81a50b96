"""The page of maintenance: who is told, who is waited for, and what is said of those that did not follow."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.dianrong.cloud.plugins.action import app_maintenance
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks
from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.delivery.maintenance import Page, wanted
from drcloud.delivery.switch import BalancerError
from drcloud.errors import InvalidInputError, LockedError, NothingMatchedError
from drcloud.exitcodes import ExitCode

MINUTE = timedelta(minutes=1)
APP, PAGE = Page(False, False), Page(True, True)


class Lb:
    """A load balancer that does as it is told, unless it is deaf or does nothing."""

    def __init__(self, name, page=APP, deaf=False, idle=False):
        self.name, self.now, self.deaf, self.idle = name, page, deaf, idle

    def page(self, verb, pool):
        assert pool == "demo_prod"
        if self.deaf:
            raise BalancerError(f"load balancer {self.name} does not answer")
        if not self.idle and verb != "ask":
            self.now = PAGE if verb == "on" else APP
        return self.now


def pools(**changes):
    pool = {"name": "demo_prod", "mode": "http", **changes}
    hostvars = {"lb-01": {"dr_lb_pools": [pool]}, "lb-02": {"dr_lb_pools": [pool]}, "lb-03": {}}
    return {"hostvars": hostvars, "groups": {"role_lb": list(hostvars)}}


def test_all_load_balancers_of_the_pool_are_meant():
    assert app_maintenance._pages("demo_prod", pools()) == ["lb-01", "lb-02"]


def test_a_pool_without_requests_has_no_page():
    with pytest.raises(InvalidInputError, match="pool demo_prod is of mode tcp: only http"):
        app_maintenance._pages("demo_prod", pools(mode="tcp"))
    with pytest.raises(NothingMatchedError, match="no load balancer in service has the pool"):
        app_maintenance._pages("shop_prod", pools())


@pytest.mark.parametrize(("enabled", "before"), [(True, APP), (False, PAGE), (True, PAGE)])
def test_who_is_told_is_read_back(enabled, before):
    lb = Lb("lb-01", before)
    assert app_maintenance._told(lb, "demo_prod", wanted(enabled)) == wanted(enabled) == lb.now


def test_one_that_says_otherwise_is_an_error():
    with pytest.raises(
        BalancerError, match="lb-01 was told to serve the page for demo_prod, but serves the app"
    ):
        app_maintenance._told(Lb("lb-01", idle=True), "demo_prod", PAGE)


def test_one_that_is_deaf_keeps_the_others_from_nothing():
    lbs = [Lb("lb-01", deaf=True), Lb("lb-02")]
    found, silent = _balancers.Balancers("demo_prod", lbs).each(lambda lb: lb.page("on", "demo_prod"))
    assert (found, list(silent)) == ({"lb-02": PAGE}, ["lb-01"])
    told = app_maintenance._failure(silent, found, PAGE, False)
    assert told["dr_exit_code"] == ExitCode.UNREACHABLE
    assert told["msg"] == (
        "load balancer lb-01 does not answer; lb-02 serves the page; "
        "run it again when all answer, before they take traffic"
    )


def test_changed_and_diff_come_from_the_same():
    declared = {"changed": False, "changes": [], "diff": []}
    same = app_maintenance._result(declared, {"lb-01": PAGE}, {"lb-01": PAGE})
    assert (same["changed"], same["diff"], same["lbs"]) == (False, [], {"lb-01": "page"})
    half = {"lb-01": PAGE, "lb-02": Page(True, False)}
    found = app_maintenance._result(declared, half, {"lb-01": PAGE, "lb-02": PAGE})
    assert found["changed"]
    [diff] = found["diff"]
    assert (diff["before"], diff["after"]) == ("page until it restarts\n", "page\n")


@pytest.fixture
def store(tmp_path):
    return Store.create(f"sqlite:///{tmp_path}/cmdb.sqlite3")


def alone(store):
    return _locks.alone(store, "maintenance:demo_prod", "maintenance", beside=["lb:demo_prod"])


def test_a_roll_goes_on_and_a_provision_does_not(store):
    leases.acquire(store, [("lb:demo_prod", False)], holder="roll", purpose="deploy", ttl=MINUTE)
    with alone(store):
        held = {(lease.name, lease.exclusive) for lease in leases.held(store)}
        assert held == {("maintenance:demo_prod", True), ("lb:demo_prod", False)}
        with pytest.raises(LockedError, match="maintenance:demo_prod is locked"), alone(store):
            raise AssertionError
        with pytest.raises(LockedError, match="lb:demo_prod is locked"):
            leases.acquire(store, [("lb:demo_prod", True)], holder="p", purpose="provision", ttl=MINUTE)
    assert [lease.holder for lease in leases.held(store)] == ["roll"]
    leases.release(store, "roll")
    leases.acquire(store, [("lb:demo_prod", True)], holder="p", purpose="provision", ttl=MINUTE)
    with pytest.raises(LockedError, match="lb:demo_prod is locked by p for provision"), alone(store):
        raise AssertionError


def test_a_playbook_that_has_the_pool_itself_goes_on(store):
    leases.acquire(store, [("lb:demo_prod", True)], holder=_locks.holder(), purpose="provision", ttl=MINUTE)
    with alone(store):
        assert len(leases.held(store)) == 2
    assert [lease.name for lease in leases.held(store)] == ["lb:demo_prod"]
