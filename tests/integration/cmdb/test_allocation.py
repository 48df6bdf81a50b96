"""Allocation by 32 processes at once: all are answered, nothing is given twice, nobody waits in a circle."""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select

from drcloud.cmdb import addresses, ipam, networks, subnets
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Address, Allocation, Prefix
from drcloud.cmdb.declared.columns import fixed_width
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store

PROCESSES = 32
HOSTS = [f"dk-{number:02}" for number in range(1, 5)]


def _allocate(number: int, url: str, answers: Path) -> None:
    """Ask for one of each kind, and for what all ask for; half of the processes the other way round."""
    store, given = Store.open(url), {}

    def ports() -> None:
        pools = [ipam.port_pool(host) for host in HOSTS[:: 1 if number % 2 else -1]]
        owners = [ipam.port_owner(f"app{number}", "prod", slot) for slot in ipam.SLOTS]
        claims = [ipam.Claim(pool, owner) for pool in pools for owner in owners]
        found = ipam.allocate_all(session, claims, ipam.PORTS)
        given["ports"] = [[claim.pool, value] for claim, value in found.items()]

    def address() -> None:
        prefix = networks.find(session, "10.1.0.0/26")
        given["address"] = addresses.allocate(session, prefix, f"p{number}", purpose="x").address
        given["shared address"] = addresses.allocate(session, prefix, "all", purpose="x").address

    def subnet() -> None:
        whole = networks.find(session, "10.64.0.0/16")
        rows = subnets.allocate(session, whole, [f"p{number}", "all"])
        given["subnet"], given["shared subnet"] = (row.cidr for row in rows.values())

    steps = [ports, address, subnet]
    for _ in range(2):
        with store.write(reason="allocate", actor=f"p{number}") as session:
            for step in steps if number % 2 else steps[::-1]:
                step()
        with (answers / str(number)).open("a") as file:
            file.write(json.dumps(given) + "\n")


def test_allocation_by_32_processes(cmdb_url: str, crowd: Any, tmp_path: Path) -> None:
    store = Store.open(cmdb_url)
    with store.write(reason="nets") as session:
        session.add_all(
            [Prefix(cidr="10.64.0.0/16", aggregate=True), Prefix(cidr="10.1.0.0/26", purpose="test")]
        )
    answers = tmp_path / "answers"
    answers.mkdir()
    crowd.succeed(PROCESSES, _allocate, cmdb_url, answers)
    given = []
    for path in answers.iterdir():
        first, second = path.read_text().splitlines()
        assert first == second
        given.append(json.loads(first))
    for kind in ("address", "subnet"):
        assert len({one[kind] for one in given} | {given[0][f"shared {kind}"]}) == PROCESSES + 1
        assert len({one[f"shared {kind}"] for one in given}) == 1
    ports = defaultdict(list)
    for one in given:
        for pool, port in one["ports"]:
            ports[pool].append(port)
    assert {pool: sorted(mine) for pool, mine in ports.items()} == {
        ipam.port_pool(host): list(range(20000, 20000 + 2 * PROCESSES)) for host in HOSTS
    }
    with store.read() as session:
        rows = len(session.scalars(select(Allocation.id)).all())
        logged = session.scalars(select(ChangeLog.seq).where(ChangeLog.kind == "allocation")).all()
    assert rows == len(logged) == PROCESSES * (2 * len(HOSTS) + 2) + 2


def test_the_first_free_address_among_many(cmdb_url: str) -> None:
    """A full beginning is counted in the database and not loaded: the queries grow with the logarithm."""
    store = Store.open(cmdb_url)
    with store.write(reason="nets") as session:
        session.add(Prefix(cidr="10.1.0.0/16"))
    # Past the unit of work, which would take long to log what this test is not about.
    with store.operate() as session:
        prefix = networks.find(session, "10.1.0.0/16")
        session.connection().execute(insert(Address.__table__), _block(prefix, 3000))  # type: ignore[arg-type]
    asked: list[str] = []
    with store.write(reason="x") as session:
        prefix = networks.find(session, "10.1.0.0/16")
        event.listen(session, "do_orm_execute", lambda state: asked.append(str(state.statement)))
        assert addresses.allocate(session, prefix, "one", purpose="x").address == "10.1.11.185"
        session.delete(session.scalars(select(Address).where(Address.address == "10.1.7.7")).one())
        session.flush()
        assert addresses.allocate(session, prefix, "two", purpose="x").address == "10.1.7.7"
    # One for the whole prefix, then a bit of 16 each, twice.
    assert sum("count(*)" in statement for statement in asked) == 2 * 17


def _block(prefix: Prefix, count: int) -> list[dict[str, Any]]:
    start = ipaddress.IPv4Address("10.1.0.1")
    common = {
        "prefix_id": prefix.id,
        "prefix_first": prefix.first,
        "prefix_last": prefix.last,
        "purpose": "x",
        "version": 1,
        "created_at": now(),
        "updated_at": now(),
        "attrs": {},
    }
    return [
        common | {"address": str(start + n), "value": fixed_width(start + n), "uid": str(n)}
        for n in range(count)
    ]
