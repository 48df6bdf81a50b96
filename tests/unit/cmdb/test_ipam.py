"""Allocation from pools."""

from __future__ import annotations

import pytest

from drcloud.cmdb import ipam
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError


def test_asking_twice_gives_the_same(store: Store) -> None:
    with store.write(reason="x") as session:
        first = ipam.allocate(session, "p", "one", range(10, 20))
        assert (first, ipam.allocate(session, "p", "two", range(10, 20))) == (10, 11)
    seq = store.declared_seq()
    with store.write(reason="x") as session:
        assert ipam.allocate(session, "p", "one", range(10, 20)) == first
        assert ipam.allocate(session, "other", "one", range(15, 20)) == 15
    assert store.declared_seq() == seq + 1


def test_what_is_given_back_is_free_again(store: Store) -> None:
    with store.write(reason="x") as session:
        ipam.allocate(session, "p", "one", range(10, 20))
        ipam.free(session, "p", "one")
        ipam.free(session, "p", "one")
        assert ipam.allocate(session, "p", "two", range(10, 20)) == 10


def test_exhausted(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="pool p is exhausted"), store.write(reason="x") as session:
        for owner in ("one", "two"):
            ipam.allocate(session, "p", owner, [7])
