"""What a host served when it was taken out of service, and that just this comes back."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import drained
from drcloud.delivery.drained import Drained
from drcloud.delivery.haproxy import AdminState, Pool, Server

SERVERS = ("dk-01_a", "dk-01_b")
OWNER = "upgrade_engine"


def pool(*states: tuple[bool, AdminState]) -> Pool:
    return {name: Server(name, *state, 0) for name, state in zip(SERVERS, states, strict=True)}


UP, DOWN, DRAINED = (True, "ready"), (False, "ready"), (True, "drain")


@pytest.mark.parametrize(
    ("seen", "serves"),
    [
        ([(UP, DOWN), (UP, DOWN)], True),
        ([(DRAINED, DRAINED), (DRAINED, UP)], True),
        ([(DOWN, DOWN), (DOWN, DOWN)], False),
        ([(DRAINED, DRAINED), (DRAINED, DRAINED)], None),
        ([(DRAINED, DOWN), (DRAINED, DRAINED)], False),
    ],
)
def test_what_a_host_has_of_a_pool(seen: Any, serves: bool | None) -> None:
    found = {f"lb-0{number}": pool(*states) for number, states in enumerate(seen, 1)}
    assert drained.serving(found, SERVERS) is serves


def test_what_was_drained_before_does_not_come_back() -> None:
    assert drained.merged(None, OWNER, {"a": True, "b": False, "c": None}) == Drained(
        OWNER, {"a": True, "b": False}
    )


def test_what_was_taken_out_by_a_run_that_was_killed_is_not_forgotten() -> None:
    kept = Drained(OWNER, {"a": True, "b": False})
    assert drained.merged(kept, OWNER, {"a": None, "b": None}) == kept
    again = drained.merged(kept, OWNER, {"a": False, "b": True, "c": True})
    assert again == Drained(OWNER, {"a": True, "b": True, "c": True})
    assert drained.merged(Drained("somebody", {"a": True}), OWNER, {"a": None}) == Drained(OWNER, {})


def attrs(store: Store) -> dict[str, Any]:
    return next(dict(row.attrs) for row in snapshot.read(store).hosts if row.name == "dk-01")


def test_it_is_kept_in_the_cmdb_until_it_is_done(store: Store) -> None:
    assert drained.read(store, "dk-01") is None
    kept = Drained(OWNER, {"demo_prod": True})
    drained.keep(store, "dk-01", kept, None)
    assert drained.read(store, "dk-01") == kept
    assert attrs(store) == {"drained_by": {"owner": OWNER, "pools": {"demo_prod": True}}}
    drained.forget(store, "dk-01", None)
    assert (drained.read(store, "dk-01"), attrs(store)) == (None, {})


def test_what_stands_there_already_is_not_written_again(store: Store) -> None:
    kept = Drained(OWNER, {"demo_prod": True})
    drained.keep(store, "dk-01", kept, None)
    before = snapshot.read(store).seq
    drained.keep(store, "dk-01", kept, None)
    drained.forget(store, "dk-02", None)
    assert snapshot.read(store).seq == before
