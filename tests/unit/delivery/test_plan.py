"""Order, batches and reasons of a roll."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drcloud.delivery import preview
from drcloud.delivery.plan import Prepared, Pull, first_to_pull, plan, spread
from drcloud.errors import InvalidInputError

RACKS = {"dk-01": "a", "dk-02": "a", "dk-03": "b", "dk-04": "b", "dk-05": "c", "dk-06": "c"}


def fleet(running: str | None = "old", *, healthy: bool = True) -> list[Prepared]:
    return [Prepared(host, rack, running, healthy) for host, rack in RACKS.items()]


def test_one_host_first_then_batches_over_racks() -> None:
    made = plan(fleet(), "new", batch=2, min_in_service=4)
    assert made.serial == (1, 2, 2, 1)
    order = [step.host for step in made.rolled]
    assert sorted(order) == sorted(RACKS)
    for start in (1, 3):
        pair = order[start : start + 2]
        assert RACKS[pair[0]] != RACKS[pair[1]]
    assert made.batch_of(order[1]) == tuple(order[1:3])


def test_nothing_to_do_when_all_run_it() -> None:
    made = plan(fleet("new"), "new", batch=2, min_in_service=4)
    assert made.rolled == ()
    assert made.serial == ()
    assert {step.action for step in made.steps} == {"unchanged"}


def test_a_host_on_the_revision_that_is_not_healthy_is_rolled() -> None:
    hosts = [*fleet("new")[:5], Prepared("dk-06", "c", "new", False)]
    made = plan(hosts, "new", batch=2, min_in_service=4)
    assert [(step.host, step.reason) for step in made.rolled] == [
        ("dk-06", "runs an instance that is not healthy")
    ]


@pytest.mark.parametrize(("budget", "serial"), [(0, (1, 2, 2, 1)), (1, (1,) * 6), (5, (1,) * 6)])
def test_a_batch_leaves_room_for_hosts_that_may_be_lost(budget: int, serial: tuple[int, ...]) -> None:
    assert plan(fleet(), "new", batch=2, min_in_service=4, budget=budget).serial == serial


def test_what_follows_a_switch_and_was_cut_short_is_done_where_nothing_else_is() -> None:
    hosts = [replace(host, owed=host.host == "dk-04") for host in fleet("new")]
    made = plan(hosts, "new", batch=2, min_in_service=4)
    assert [(step.host, step.action, step.batch) for step in made.rolled] == [("dk-04", "finish", 0)]
    assert "what follows its switch was cut short" in made.rolled[0].reason
    sick = [replace(host, owed=True, healthy=False) for host in fleet("new")[:1]]
    assert plan(sick, "new", batch=1, min_in_service=0).rolled[0].action == "replace"


def test_an_instance_that_somebody_changed_is_replaced() -> None:
    changed = ("env", "mounts")
    hosts = [replace(host, by_hand=changed if host.host == "dk-02" else ()) for host in fleet("new")]
    made = plan(hosts, "new", batch=2, min_in_service=4)
    assert [(step.host, step.action, step.reason) for step in made.rolled] == [
        ("dk-02", "replace", "was changed by hand: env, mounts")
    ]


def test_a_batch_never_takes_more_than_may_leave() -> None:
    assert plan(fleet(), "new", batch=6, min_in_service=5).serial == (1, 1, 1, 1, 1, 1)


def test_a_placement_that_cannot_spare_a_host_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="min_in_service 6 of 6 hosts leaves none"):
        plan(fleet(), "new", batch=1, min_in_service=6)


def test_the_first_deploy_takes_nothing_out_of_service() -> None:
    made = plan(fleet(None), "new", batch=3, min_in_service=6)
    assert made.serial == (1, 3, 2)
    assert {step.action for step in made.steps} == {"first"}


def test_a_plan_tells_how_many_stay_in_service_while_each_batch_is_rolled() -> None:
    hosts = [replace(host, healthy=host.host != "dk-06") for host in fleet()]
    made = plan(hosts, "new", batch=2, min_in_service=4)
    assert (made.placed, made.in_service, made.min_in_service) == (6, 5, 4)
    assert made.serial == (1, 2, 2, 1)
    assert made.staying == (5, 4, 4, 5), "the one that did not serve goes first, and serves then"
    assert plan(fleet(None, healthy=False), "new", batch=3, min_in_service=6).staying == (0, 1, 4)
    owing = [replace(host, owed=True) for host in fleet("new")]
    assert set(plan(owing, "new", batch=2, min_in_service=4).staying) == {6}, "nobody leaves to finish"


def test_a_plan_is_told_host_by_host() -> None:
    changes, lacks = ("image t1 1484 -> t2 3d2c",), Pull("registry/demo@sha256:3d2c", 4 * 1024**2 + 1)
    hosts = [
        Prepared("dk-01", "lab/r1/a01", "old", True, changes, pull=lacks),
        Prepared("dk-02", "lab/r1/a01", "new", True),
        Prepared("dk-03", None, None, False, pull=replace(lacks, bytes=None)),
    ]
    told = plan(hosts, "new", batch=1, min_in_service=1).as_document()
    assert json.loads(json.dumps(told)) == {**told, "steps": json.loads(json.dumps(told["steps"]))}
    assert preview.lines(told) == [
        "batch 1: dk-03: first, pulls ?, runs nothing of this app yet",
        "batch 2: dk-01 in lab/r1/a01: replace, pulls 5 MiB, runs another revision: image t1 1484 -> t2 3d2c",
        "batch -: dk-02 in lab/r1/a01: unchanged, runs this revision already",
        "pulled is registry/demo@sha256:3d2c",
        "2 of 3 hosts are in service, 1 must stay, 2 do while a batch is rolled",
    ]


def test_before_the_first_deploy_nobody_has_to_stay() -> None:
    told = plan(fleet(None, healthy=False), "new", batch=3, min_in_service=6).as_document()
    assert preview.service(told) == "none of 6 hosts is in service"


def test_some_hosts_of_a_placement_count_against_all_of_it() -> None:
    assert plan(fleet()[:1], "new", batch=2, min_in_service=4, placed=6).serial == (1,)


def test_two_racks_give_a_batch_of_two_however_large_it_may_be() -> None:
    hosts = [Prepared(f"dk-{number}", "ab"[number % 2], "old", True) for number in range(8)]
    made = plan(hosts, "new", batch=3, min_in_service=2)
    assert made.serial == (1, 2, 2, 2, 1)


def test_some_hosts_of_one_rack_are_apart_where_the_placement_spans_racks() -> None:
    two = [Prepared(host, "a", "old", True) for host in ("dk-01", "dk-02", "dk-03")]
    assert plan(two, "new", batch=2, min_in_service=1, placed=6).serial == (1, 2)
    assert plan(two, "new", batch=2, min_in_service=1, placed=6, spans_racks=True).serial == (1, 1, 1)


FLEETS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.booleans()), max_size=40)


@given(FLEETS, st.integers(1, 12))
def test_a_batch_is_no_larger_than_it_may_be_and_has_no_rack_twice(
    found: list[tuple[str | None, bool]], size: int
) -> None:
    hosts = [Prepared(f"h{n}", rack, "old", serves) for n, (rack, serves) in enumerate(found)]
    racks = {host.host: host.rack for host in hosts}
    made = plan(hosts, "new", batch=size, min_in_service=0)
    assert sorted(step.host for step in made.rolled) == sorted(racks)
    assert sum(made.serial) == len(hosts)
    assert made.serial[:1] in {(), (1,)}, "one host first"
    for number in range(len(made.serial)):
        batch = [step.host for step in made.rolled if step.batch == number]
        assert len(batch) == made.serial[number] <= size
        if len(set(racks.values())) > 1:
            assert len({racks[host] for host in batch}) == len(batch)
        elif number not in {0, len(made.serial) - 1}:
            assert len(batch) == size


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 12), min_size=2), st.integers(2, 6))
def test_there_are_no_more_batches_than_there_have_to_be(counts: dict[str, int], size: int) -> None:
    hosts = [
        Prepared(f"{rack}{n}", rack, "old", True) for rack, count in counts.items() for n in range(count)
    ]
    made = plan(hosts, "new", batch=size, min_in_service=0)
    *others, fullest = sorted(counts.values())
    fewest = max(-(-(len(hosts) - 1) // size), *others, fullest - 1)
    assert len(made.serial) == 1 + fewest


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(1, 6))
def test_neighbours_share_a_rack_only_when_one_rack_is_left(racks: list[str], at_once: int) -> None:
    hosts = {f"h{number}": rack for number, rack in enumerate(racks)}
    order = spread(hosts, at_once)
    assert sorted(order) == sorted(hosts)
    for place, (first, second) in enumerate(itertools.pairwise(order)):
        if hosts[first] == hosts[second]:
            assert {hosts[name] for name in order[place:]} == {hosts[first]}


def test_hosts_that_do_not_serve_come_first() -> None:
    """Rolling them takes nothing away, and gives others room to leave."""
    hosts = [Prepared(f"dk-0{number}", "a01", "old", healthy=number not in (4, 5)) for number in range(1, 7)]
    made = plan(hosts, "new", batch=2, min_in_service=4)
    assert [step.host for step in made.rolled] == ["dk-04", "dk-05", "dk-01", "dk-02", "dk-03", "dk-06"]


def test_of_many_hosts_one_of_each_rack_is_the_first_to_pull() -> None:
    racks = {"dk-1": "a", "dk-2": "a", "dk-3": None, "dk-4": "b", "dk-5": None}
    assert first_to_pull(racks, 4) == ["dk-1", "dk-3", "dk-4"]
    assert first_to_pull(racks, 5) == list(racks)
    assert first_to_pull({}, 0) == []
