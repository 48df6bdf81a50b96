"""Taking a host out by hand: one at a time, and all load balancers or none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _locks, _members
from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.delivery.haproxy import Server
from drcloud.delivery.switch import BalancerError
from drcloud.errors import LockedError

SERVERS = ["dk-01_a", "dk-01_b"]
READY = {"dk-01_a": "ready", "dk-01_b": "drain"}
BEFORE = {"lb-01": READY, "lb-02": {**READY, "dk-01_b": "ready"}}
WANTED = {lb: dict.fromkeys(SERVERS, "maint") for lb in BEFORE}


class World:
    """Two load balancers that do as they are told, unless they are deaf or do nothing."""

    def __init__(self, deaf=(), idle=()):
        self.states = {lb: dict(states) for lb, states in BEFORE.items()}
        self.deaf = set(deaf)
        self.idle = set(idle)

    def tell_each(self, lines):
        for lb in set(lines) - self.deaf - self.idle:
            for line in lines[lb]:
                name, state = line.removeprefix("set server demo_prod/").split(" state ")
                self.states[lb][name] = state
        return {lb: BalancerError(f"load balancer {lb} does not answer") for lb in sorted(self.deaf)}

    def pools(self):
        return {
            lb: {name: Server(name, True, state, 0) for name, state in states.items()}
            for lb, states in self.states.items()
        }


def applied(world):
    return _members.applied(world, "demo_prod", SERVERS, BEFORE, WANTED)


def test_all_load_balancers_are_told_and_read_back():
    world = World()
    assert applied(world) == world.pools()
    assert world.states == WANTED


def test_who_was_told_is_put_back_where_another_does_not_answer():
    world = World(deaf=["lb-02"])
    told = "lb-02 does not answer; lb-01 is as it was, lb-02 may have changed"
    with pytest.raises(BalancerError, match=told):
        applied(world)
    assert world.states == BEFORE


def test_who_was_told_is_put_back_where_another_says_otherwise():
    world = World(idle=["lb-01"])
    told = "lb-01 was told to maint dk-01_a, but says ready; lb-01 is as it was, lb-02 is as it was"
    with pytest.raises(BalancerError, match=told):
        applied(world)
    assert world.states == BEFORE


@pytest.fixture
def store(tmp_path):
    return Store.create(f"sqlite:///{tmp_path}/cmdb.sqlite3")


def test_a_pool_is_changed_by_one_at_a_time(store):
    with _locks.alone(store, "lb:demo_prod", "drain dk-01"):
        [held] = leases.held(store)
        assert (held.name, held.exclusive) == ("lb:demo_prod", True)
        assert held.purpose.startswith("drain dk-01 by ")
        with pytest.raises(LockedError, match=r"lb:demo_prod is locked by \S+ for drain dk-01 by"):
            leases.acquire(
                store, [("lb:demo_prod", False)], holder="r-1", purpose="deploy", ttl=timedelta(minutes=1)
            )
    assert leases.held(store) == []


def test_a_pool_in_the_middle_of_a_roll_is_left_alone(store):
    leases.acquire(
        store, [("lb:demo_prod", False)], holder="r-1", purpose="deploy demo", ttl=timedelta(minutes=1)
    )
    with (
        pytest.raises(LockedError, match="locked by r-1 for deploy demo"),
        _locks.alone(store, "lb:demo_prod", "ready dk-01"),
    ):
        raise AssertionError
    assert [held.holder for held in leases.held(store)] == ["r-1"]


def test_a_playbook_that_has_the_pool_already_keeps_it(store):
    leases.acquire(
        store, [("lb:demo_prod", True)], holder=_locks.holder(), purpose="provision", ttl=timedelta(minutes=1)
    )
    with _locks.alone(store, "lb:demo_prod", "drain dk-01"):
        assert len(leases.held(store)) == 1
    assert [held.purpose for held in leases.held(store)] == ["provision"]


def test_a_lock_is_given_back_when_the_task_fails(store):
    with pytest.raises(BalancerError), _locks.alone(store, "lb:demo_prod", "drain dk-01"):
        raise BalancerError("load balancer lb-01 does not answer")
    assert leases.held(store) == []
