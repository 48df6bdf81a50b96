"""The question of capacity: what counts as in service when several load balancers are asked."""

from __future__ import annotations

from typing import Any

import pytest

from drcloud.delivery.capacity import batches, capacity
from drcloud.delivery.haproxy import AdminState, Pool, Server
from drcloud.errors import UnreachableError

MEMBERS = ("dk-01", "dk-02", "dk-03")


def pool(**states: tuple[bool, AdminState]) -> Pool:
    named = {
        f"dk-0{name[0]}_{name[1]}": state
        for name, state in ((key[1:], value) for key, value in states.items())
    }
    return {name: Server(name, running, admin, 0) for name, (running, admin) in named.items()}


UP = pool(s1a=(True, "ready"), s2a=(True, "ready"), s3a=(True, "ready"))
SILENT = UnreachableError("load balancer lb-02 does not answer")


@pytest.mark.parametrize(
    ("answers", "in_service"),
    [
        ({"lb-01": UP}, MEMBERS),
        ({"lb-01": UP, "lb-02": UP}, MEMBERS),
        ({"lb-01": UP, "lb-02": SILENT}, ()),
        ({"lb-01": UP, "lb-02": {**UP, **pool(s1a=(True, "drain"))}}, ("dk-02", "dk-03")),
        ({"lb-01": UP, "lb-02": {**UP, **pool(s1a=(True, "maint"))}}, ("dk-02", "dk-03")),
        ({"lb-01": {**UP, **pool(s3a=(False, "ready"))}, "lb-02": UP}, ("dk-01", "dk-02")),
        ({"lb-01": {**UP, **pool(s1a=(False, "ready"), s1b=(True, "ready"))}, "lb-02": UP}, MEMBERS),
        ({"lb-01": UP, "lb-02": pool(s1a=(True, "ready"))}, ("dk-01",)),
        ({}, ()),
    ],
)
def test_a_member_counts_where_every_balancer_sends_it_requests(
    answers: dict[str, Any], in_service: tuple[str, ...]
) -> None:
    found = capacity(answers, MEMBERS, [], 2)
    assert found["in_service"] == list(in_service)
    assert found["down"] == [name for name in MEMBERS if name not in in_service]
    assert found["count"] == len(in_service)
    assert found["enough"] == (len(in_service) >= 2)


@pytest.mark.parametrize(
    ("leaving", "staying", "enough"),
    [([], 3, True), (["dk-01"], 2, True), (["dk-01", "dk-02"], 1, False), (["dk-09"], 3, True)],
)
def test_who_is_about_to_leave_is_not_counted(leaving: list[str], staying: int, enough: bool) -> None:
    found = capacity({"lb-01": UP, "lb-02": UP}, MEMBERS, leaving, 2)
    assert (found["staying"], found["enough"], found["count"]) == (staying, enough, 3)


def test_it_is_told_why_a_balancer_says_nothing() -> None:
    found = capacity({"lb-01": UP, "lb-02": SILENT}, MEMBERS, [], 2)["lbs"]
    assert found["lb-02"] == {"answers": False, "reason": str(SILENT), "in_service": [], "servers": {}}
    assert found["lb-01"]["servers"]["dk-01_a"] == {
        "host": "dk-01", "state": "ready", "running": True, "sessions": 0, "in_service": True,
    }  # fmt: skip


FLEET = [f"dk-0{number}" for number in range(1, 7)]


@pytest.mark.parametrize(
    ("fronts", "at_most", "sizes"),
    [
        ([], 1, [1] * 6),
        ([], 4, [4, 2]),
        # Six in service of which four must stay.
        ([(FLEET, 4)], 5, [2, 2, 2]),
        # One is down already, at one of the load balancers.
        ([(FLEET, 4), (FLEET[1:], 4)], 5, [2, 1, 1, 1, 1]),
        # None may leave: each is asked for on its own, and refused.
        ([(FLEET, 6)], 3, [1] * 6),
        # Of two apps each counts for its own hosts.
        ([(FLEET[:3], 2), (FLEET[3:], 1)], 6, [1, 1, 3, 1]),
        # A host that serves nothing takes nothing.
        ([(FLEET[4:], 1)], 6, [5, 1]),
    ],
)
def test_hosts_leave_in_batches_as_far_as_enough_others_stay(
    fronts: list[tuple[list[str], int]], at_most: int, sizes: list[int]
) -> None:
    assert batches(FLEET, [(frozenset(serving), needed) for serving, needed in fronts], at_most) == sizes
