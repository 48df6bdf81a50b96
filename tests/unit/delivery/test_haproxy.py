"""Reading what HAProxy 2.6 really answered, and the question of capacity."""

from __future__ import annotations

from pathlib import Path

import pytest

from drcloud.delivery import haproxy
from drcloud.delivery.haproxy import Server, Shortage

RECORDED = Path(__file__).parent / "recorded"


def pool(**servers: tuple[bool, haproxy.AdminState]) -> haproxy.Pool:
    named = {name.replace("dk", "dk-0"): state for name, state in servers.items()}
    return {name: Server(name, running, admin, 0) for name, (running, admin) in named.items()}


def test_reads_a_pool_after_a_roll() -> None:
    found = haproxy.parse("demo_prod", (RECORDED / "pool-2.6.txt").read_text())
    assert len(found) == 12
    assert found["dk-01_b"].in_service
    assert not found["dk-01_a"].running
    assert found["dk-01_a"].host == "dk-01"
    assert haproxy.hosts_in_service(found) == {f"dk-0{number}" for number in range(1, 7)}


def test_reads_administrative_states() -> None:
    found = haproxy.parse("demo_prod", (RECORDED / "pool-2.6-drained.txt").read_text())
    assert found["dk-01_b"].admin == "drain"
    assert found["dk-01_b"].running
    assert found["dk-02_b"].admin == "maint"
    assert haproxy.hosts_in_service(found) == {f"dk-0{number}" for number in range(3, 7)}


@pytest.mark.parametrize("answer", ["", "Can't find backend.\n\nNo such proxy.\n"])
def test_an_unknown_pool_is_told(answer: str) -> None:
    with pytest.raises(ValueError, match="the pool demo_qa is not known there"):
        haproxy.parse("demo_qa", answer)


def test_counts_sessions_and_queue() -> None:
    text = (RECORDED / "pool-2.6.txt").read_text()
    line = next(line for line in text.splitlines() if line.startswith("demo_prod,dk-01_b,"))
    fields = line.split(",")
    fields[2], fields[4] = "2", "3"
    found = haproxy.parse("demo_prod", text.replace(line, ",".join(fields)))
    assert found["dk-01_b"].sessions == 5


def test_counts_the_requests_that_a_replaced_process_still_has() -> None:
    text = (RECORDED / "pool-2.6-reloaded.txt").read_text()
    now, _, former = text.partition("# process ")
    assert haproxy.parse("demo_prod", now)["dk-01_a"].sessions == 0
    found = haproxy.parse("demo_prod", text)
    assert (found["dk-01_a"].sessions, found["dk-01_b"].sessions) == (1, 0)
    twice = haproxy.parse("demo_prod", f"{text}\n# process {former}")
    assert twice["dk-01_a"].sessions == 2
    assert twice["dk-01_b"].admin == "drain"


@pytest.mark.parametrize("said", ["", "Can't find backend.\n\nNo such proxy.\n"])
def test_a_replaced_process_that_has_nothing_to_say_counts_nothing(said: str) -> None:
    text = (RECORDED / "pool-2.6.txt").read_text()
    assert haproxy.parse("demo_prod", f"{text}\n# process 4711\n{said}") == haproxy.parse("demo_prod", text)


def test_a_host_counts_once_whichever_slot_serves() -> None:
    both = pool(dk1_a=(True, "ready"), dk1_b=(True, "ready"), dk2_a=(True, "drain"), dk2_b=(False, "ready"))
    assert haproxy.hosts_in_service(both) == {"dk-01"}


def test_capacity_is_asked_of_every_balancer() -> None:
    good = pool(dk1_a=(True, "ready"), dk2_a=(True, "ready"), dk3_a=(True, "ready"))
    poor = pool(dk1_a=(True, "ready"), dk2_a=(False, "ready"), dk3_a=(True, "ready"))
    assert haproxy.shortage({"lb-01": good, "lb-02": good}, ["dk-01"], 2) is None
    assert haproxy.shortage({"lb-01": good, "lb-02": poor}, ["dk-01"], 2) == Shortage("lb-02", 1, 2)
    assert haproxy.shortage({"lb-01": good}, ["dk-01", "dk-02"], 2) == Shortage("lb-01", 1, 2)
