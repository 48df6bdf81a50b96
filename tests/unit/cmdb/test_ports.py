"""Ports of hosts that left a placement: reserved while a container may live, then freed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb import hosts, importer, lookup, observations, ports
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Allocation
from drcloud.cmdb.exporter import export
from drcloud.cmdb.store import Store

Bring = Callable[[str], tuple[importer.Change, ...]]
BOTH, ONE = "hosts: [dk-02, dk-01]", "hosts: [dk-01]"


@pytest.fixture
def bring(filled: Store, idc: Path) -> Bring:
    """Import the IDC with other hosts in its placement."""
    text = idc.read_text(encoding="utf-8")

    def change(placed: str) -> tuple[importer.Change, ...]:
        idc.write_text(text.replace(BOTH, placed), encoding="utf-8")
        return importer.import_files(filled, importer.Request((idc,)))

    return change


def reserved(store: Store, host: str = "dk-02") -> list[int]:
    with store.read() as session:
        query = select(Allocation.value).where(Allocation.pool == f"ports:{host}")
        return sorted(session.scalars(query))


def look(store: Store, *slots: str, ago: timedelta = timedelta(0)) -> None:
    common: dict[str, Any] = dict.fromkeys(("tag", "digest", "revision", "deployment", "health"), "x")
    seen = [
        {"name": slot, "app": "demo", "env": "prod", "slot": slot, "status": "exited", "started_at": None}
        for slot in slots
    ]
    observations.record_instances(store, "dk-02", [one | common for one in seen], "observe", now() - ago)


def test_a_host_that_left_keeps_its_ports_until_it_is_seen_without_the_container(
    filled: Store, bring: Bring
) -> None:
    look(filled)
    bring(ONE)
    # The last look was before the host left.
    assert bring(ONE) == ()
    look(filled, "a", "b")
    assert bring(ONE) == ()
    look(filled, "b")
    [change] = bring(ONE)
    assert change.line() == "- allocation ports:dk-02/demo/prod/a"
    assert reserved(filled) == [20001]
    look(filled)
    assert len(bring(ONE)) == 1
    assert (reserved(filled), reserved(filled, "dk-01")) == ([], [20000, 20001])
    assert bring(ONE) == ()


def test_a_host_that_comes_back_has_its_ports(filled: Store, bring: Bring) -> None:
    bring(ONE)
    look(filled)
    assert [one.kind for one in bring(BOTH)] == ["placement_host", "placement_host"]
    assert reserved(filled) == [20000, 20001]


def test_a_retired_host_needs_no_ports(filled: Store, bring: Bring) -> None:
    bring(ONE)
    with filled.write(reason="old") as session:
        hosts.transition(session, lookup.host(session, "dk-02"), "retired")
    assert len(bring(ONE)) == 2
    assert reserved(filled) == []


def test_a_file_that_names_the_ports_keeps_them(filled: Store, bring: Bring, idc: Path) -> None:
    bring(ONE)
    look(filled)
    idc.write_text(export(filled), encoding="utf-8")
    assert importer.import_files(filled, importer.Request((idc,))) == ()


def test_a_port_that_was_never_a_placements_stays(filled: Store, bring: Bring) -> None:
    with filled.write(reason="by hand") as session:
        session.add(Allocation(pool="ports:lb-01", owner="demo/prod/a", value=25000))
        session.add(Allocation(pool="ports:lb-01", owner="by hand", value=25001))
    assert bring(BOTH) == ()


def test_release(filled: Store) -> None:
    with filled.write(reason="sure") as session:
        assert ports.release(session, "demo", "prod", "dk-02")
        assert not ports.release(session, "demo", "prod", "dk-02")
    assert reserved(filled) == []
