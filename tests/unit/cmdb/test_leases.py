"""Leases: exclusive and shared, joining, expiry, tokens that only grow."""

from __future__ import annotations

from datetime import timedelta

import pytest

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.errors import LockedError
from drcloud.exitcodes import ExitCode

MINUTE = timedelta(minutes=1)
PAST = timedelta(seconds=-1)


def take(store: Store, holder: str, *names: tuple[str, bool], ttl: timedelta = MINUTE) -> dict[str, int]:
    return leases.acquire(store, names, holder=holder, purpose="deploy demo v2", ttl=ttl)


def test_exclusive_keeps_others_out(store: Store) -> None:
    take(store, "run-1", ("app:demo@prod", True))
    with pytest.raises(
        LockedError, match=r"app:demo@prod is locked by run-1 for deploy demo v2 since .* UTC"
    ) as caught:
        take(store, "run-2", ("app:demo@prod", True))
    assert caught.value.exit_code is ExitCode.LOCKED
    with pytest.raises(LockedError):
        take(store, "run-2", ("app:demo@prod", False))


def test_shared_goes_with_shared_only(store: Store) -> None:
    take(store, "run-1", ("host:dk-01", False))
    take(store, "run-2", ("host:dk-01", False))
    with pytest.raises(LockedError):
        take(store, "run-3", ("host:dk-01", True))
    with pytest.raises(LockedError):
        take(store, "run-1", ("host:dk-01", True))
    leases.release(store, "run-2")
    take(store, "run-1", ("host:dk-01", True))
    with pytest.raises(LockedError):
        take(store, "run-2", ("host:dk-01", False))


def test_all_or_nothing(store: Store) -> None:
    take(store, "run-1", ("b", True))
    with pytest.raises(LockedError):
        take(store, "run-2", ("a", True), ("b", True))
    assert [held.holder for held in leases.held(store)] == ["run-1"]


def test_the_same_holder_joins(store: Store) -> None:
    first = take(store, "run-1", ("a", True))
    assert take(store, "run-1", ("a", False)) == first
    assert [held.exclusive for held in leases.held(store)] == [True]


def test_one_name_in_both_modes_is_exclusive(store: Store) -> None:
    take(store, "run-1", ("a", False), ("a", True))
    assert [held.exclusive for held in leases.held(store)] == [True]


def test_tokens_grow_even_after_a_release(store: Store) -> None:
    tokens = []
    for run in range(3):
        tokens += take(store, f"run-{run}", ("a", True)).values()
        leases.release(store, f"run-{run}")
    assert tokens == sorted(set(tokens))
    assert leases.held(store) == []


def test_an_expired_lease_is_taken_over(store: Store) -> None:
    [old] = take(store, "run-1", ("a", True), ttl=PAST).values()
    assert leases.held(store) == []
    [new] = take(store, "run-2", ("a", True)).values()
    assert new > old
    with pytest.raises(LockedError, match="the leases of run-1 have expired and were taken over"):
        leases.renew(store, "run-1", MINUTE)


def test_who_lost_one_lease_has_lost_all(store: Store) -> None:
    take(store, "run-1", ("a", True), ("b", True), ttl=PAST)
    take(store, "run-2", ("a", True))
    assert {(held.name, held.holder) for held in leases.held(store)} == {("a", "run-2")}
    with pytest.raises(LockedError):
        leases.renew(store, "run-1", MINUTE)


def test_a_late_heartbeat_revives_what_nobody_took(store: Store) -> None:
    tokens = take(store, "run-1", ("a", True), ("b", False), ttl=PAST)
    assert leases.renew(store, "run-1", MINUTE) == tokens
    assert len(leases.held(store)) == 2


def test_leases_are_no_declared_state(store: Store) -> None:
    take(store, "run-1", ("a", True))
    assert store.declared_seq() == 0
