"""What a source selects is what is read, on both engines, now and as of the past."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import Engine, event, select

from drcloud.cmdb import assembly, history, hosts, importer, lookup, past, snapshot
from drcloud.cmdb.assembly import Wanted
from drcloud.cmdb.declared import Certificate, FirewallZone, LbPool, Vip
from drcloud.cmdb.options import parse
from drcloud.cmdb.selection import Selection
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError

HEALTHY = {"image": "x/portal", "port": 8080}


def fleet() -> dict[str, Any]:
    """Two IDCs; a bastion behind a bastion; balancers whose members stand elsewhere; a retired host."""

    def host(name: str, role: str, rack: str | None, number: int, **more: Any) -> dict[str, Any]:
        return {"name": name, "role": role, "rack": rack, "address": f"10.0.0.{number}", **more}

    return {
        "drcloud": 1,
        "idcs": [
            {"code": "a", "rooms": [{"code": "r1", "racks": ["x", "y"]}]},
            {"code": "b", "rooms": [{"code": "r1", "racks": ["x"]}]},
        ],
        "environments": [{"name": "qa"}, {"name": "prod"}],
        "firewall_zones": [{"name": "office", "allows": ["ssh", "log"]}, {"name": "empty"}],
        "prefixes": [
            {"cidr": "10.0.0.0/24", "zone": "office"},
            {"cidr": "10.0.0.0/8", "aggregate": True, "zone": "office"},
            {"cidr": "fd00::/64", "zone": "office"},
        ],
        "addresses": [{"address": f"10.0.0.{number}", "purpose": "vip"} for number in (41, 42)],
        "registries": [{"name": "main", "host": "infra-1", "port": 5000}],
        "hosts": [
            host("gate-1", "bastion", "a/r1/x", 1),
            host("gate-2", "bastion", "b/r1/x", 2, ssh={"via": "gate-1"}),
            host("dk-1", "docker", "a/r1/x", 11, ssh={"via": "gate-1"}, attrs={"team": "支付"}),
            host("dk-2", "docker", "a/r1/y", 12, serial="S2", block_devices=DISKS, bridges=BRIDGES),
            host("dk-3", "docker", "b/r1/x", 13, ssh={"via": "gate-2"}, state="active"),
            host("dk-4", "docker", None, 14, state="retired"),
            host("lb-1", "lb", "a/r1/y", 21, ssh={"via": "gate-1"}),
            host("lb-2", "lb", "b/r1/x", 22, ssh={"via": "gate-2"}),
            host("lb-3", "lb", None, 23, state="retired"),
            host("infra-1", "infra", "a/r1/y", 31),
        ],
        "apps": [{"name": "portal", "spec": HEALTHY}, {"name": "ledger", "spec": HEALTHY}],
        "placements": [
            {
                "app": "portal",
                "env": "prod",
                "hosts": ["dk-3", "dk-1", "dk-4"],
                "lb_port": 80,
                "lbs": ["lb-2"],
            },
            {"app": "portal", "env": "qa", "hosts": ["dk-2"], "lb_port": 81, "lbs": ["lb-1", "lb-2"]},
            {"app": "ledger", "env": "prod", "hosts": ["dk-2", "dk-3"]},
        ],
        "vips": [
            {"name": "www", "address": "10.0.0.41", "vrrp_id": 51, "lbs": ["lb-2", "lb-3", "lb-1"]},
            {"name": "idle", "address": "10.0.0.42"},
        ],
        "certificates": [
            certificate("www", "1", pem="file:/www.pem", private_key="file:/www.key"),
            certificate("root", "2", pem="file:/ca.pem", purpose="ca"),
            certificate("dk-2", "3", host="dk-2", purpose="engine-api"),
        ],
        "lb_pools": [
            {"name": "tls", "vip": "www", "port": 443, "placement": "portal@prod", "certificate": "www"},
            {"name": "idle", "vip": "idle", "port": 80, "placement": "portal@prod"},
            {"name": "free", "vip": "www", "port": 9000, "mode": "tcp"},
        ],
    }


def certificate(name: str, digit: str, **more: str) -> dict[str, Any]:
    end = {"not_after": "2027-03-01T08:00:00+08:00", "fingerprint": digit * 64}
    return {"name": name, "subject": f"CN={name}", "issuer": "CN=root", **end, **more}


DISKS = [
    {"path": "/dev/sdc", "purpose": "raw"},
    {"path": "/dev/sdb", "purpose": "app-volume", "mount": "/srv/p", "filesystem": "xfs", "app": "portal"},
]
BRIDGES = [
    {"name": "br0", "mode": "uplink", "nic": "eth0", "containers": "10.64.0.0/16", "mtu": 9000},
    {"name": "apps", "mode": "nat"},
]
CHOICES: dict[str, list[tuple[str, ...]]] = {
    "state": [(), ("active",), ("retired", "planned")],
    "idc": [(), ("b",)],
    "env": [(), ("prod",)],
    "app": [(), ("portal",)],
    "role": [(), ("lb",), ("docker", "infra")],
}
# Every fifth of all combinations: 5 has no factor in common with the numbers of choices.
SELECTIONS = [
    Selection(**dict(zip(CHOICES, values, strict=True)))
    for values in list(itertools.product(*CHOICES.values()))[::5]
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A CMDB with the fleet, on each engine; only the last test writes."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.yml"
    path.write_text(yaml.safe_dump(fleet(), allow_unicode=True), encoding="utf-8")
    url = f"sqlite:///{path.parent}/cmdb.sqlite3"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE selection")
        url = f"{server}/selection"
    store = Store.create(url)
    importer.import_files(store, importer.Request((path,)))
    with store.write(reason="first contact") as session:
        for name in ("gate-1", "gate-2", "dk-1", "dk-3", "lb-2"):
            hosts.pin_keys(session, lookup.host(session, name), {"ssh-ed25519": f"KEY{name[-1]}"})
    return store


@contextmanager
def queries() -> Iterator[list[str]]:
    """Collect the queries that are made meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_a_read_of_a_selection_is_that_part_of_a_read_of_all(store: Store) -> None:
    whole = snapshot.read(store)
    for selection in SELECTIONS:
        assert snapshot.read(store, selection) == past.narrow(whole, selection), selection
    assert {host.name for host in past.narrow(whole, Selection(env=("prod",), app=("portal",))).hosts} == {
        *("dk-1", "dk-3", "lb-2")
    }


def test_what_is_not_selected_is_not_read_and_costs_no_further_query(store: Store) -> None:
    seen = snapshot.read(store, Selection(role=("lb",), idc=("b",)))
    assert [host.name for host in seen.hosts] == ["lb-2"]
    # Its bastions, and the members of its pools; not dk-4, which is retired, nor lb-1.
    assert [host.name for host in seen.others] == ["dk-1", "dk-2", "dk-3", "gate-1", "gate-2"]
    assert {key.host for key in seen.host_keys} == {"dk-1", "dk-3", "gate-1", "gate-2", "lb-2"}
    with queries() as few:
        snapshot.read(store, Selection(idc=("b",)))
    with queries() as many:
        snapshot.read(store, Selection())
    assert len(few) == len(many) + 1 <= 21  # one asks whether there is such an IDC


def test_a_selected_load_balancer_lists_all_members_of_its_pools(store: Store) -> None:
    found = assembly.read(store, Wanted(parse({"role": ["lb"]}))).inventory
    assert set(found.hosts) == {"lb-1", "lb-2"}
    assert {pool["name"]: pool["members"] for pool in found.hosts["lb-2"]["dr_lb_pools"]}["portal_prod"] == [
        {"host": name, "address": address, "slots": {"a": 20000, "b": 20001}}
        for name, address in (("dk-3", "10.0.0.13"), ("dk-1", "10.0.0.11"))
    ]
    assert set(found.groups.members) == {"role_lb", "state_planned", "rack_a_r1_y", "rack_b_r1_x"}


def test_the_edge_reaches_those_whom_it_concerns(store: Store) -> None:
    found = assembly.read(store, Wanted(parse({}))).inventory
    balancer, other, docker = (found.hosts[name] for name in ("lb-2", "lb-1", "dk-2"))
    vip = {"name": "www", "address": "10.0.0.41", "prefix_length": 24, "vrrp_id": 51, "lbs": ["lb-2", "lb-1"]}
    assert balancer["dr_vips"] == other["dr_vips"] == [vip]
    www = {
        **{"name": "www", "subject": "CN=www", "issuer": "CN=root", "not_after": "2027-03-01T00:00:00Z"},
        **{"fingerprint": "1" * 64, "pem": "file:/www.pem", "private_key": "file:/www.key"},
        **{"host": None, "purpose": None},
    }
    pools = {pool["name"]: (pool["mode"], pool["binds"]) for pool in balancer["dr_lb_pools"]}
    assert pools == {
        "portal_prod": ("http", [{"vip": "www", "address": "10.0.0.41", "port": 443, "certificate": www}]),
        "portal_qa": ("http", []),
    }
    assert docker["dr_bridges"] == [
        {
            **{"name": "apps", "mode": "nat", "nic": None, "containers": None},
            **{"length": 24, "mtu": None, "ipv6": None},
        },
        {
            **{"name": "br0", "mode": "uplink", "nic": "eth0", "containers": "10.64.0.0/16"},
            **{"length": 28, "mtu": 9000, "ipv6": None},
        },
    ]
    assert docker["dr_block_devices"][0] == {
        **{"path": "/dev/sdb", "serial": None, "wwn": None, "purpose": "app-volume"},
        **{"filesystem": "xfs", "mount": "/srv/p", "uuid": None, "app": "portal"},
    }
    for name in ("dk-1", "lb-1"):
        assert "dr_bridges" not in found.hosts[name]
    assert not {"dr_vips", "dr_lb_pools"} & docker.keys()
    assert found.everywhere["dr_firewall_zones"] == [
        {"name": "empty", "prefixes": [], "allows": []},
        {
            "name": "office",
            "prefixes": ["10.0.0.0/8", "10.0.0.0/24", "fd00::/64"],
            "allows": ["ssh", "log"],
        },
    ]
    assert [one["name"] for one in found.everywhere["dr_certificates"]] == ["root"]
    # What each host has of its own is not read for all of them.
    assert [one.name for one in snapshot.read(store).edge.certificates] == ["root", "www"]
    assert found.everywhere["dr_registries"][0]["host"] == "infra-1"


def test_what_a_source_does_not_want_is_not_read(store: Store) -> None:
    with queries() as few:
        found = assembly.read(store, Wanted(parse({"fields": ["role"]}))).inventory
    with queries() as many:
        assembly.read(store, Wanted(parse({})))
    assert len(many) - len(few) == 4  # disks, bridges, VIPs, pools
    assert not {"dr_vips", "dr_bridges"} & {name for one in found.hosts.values() for name in one}


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"idc": ["c"]}, "option idc: there is no IDC 'c': known are a, b"),
    ({"env": ["prd"]}, "option env: there is no environment 'prd': did you mean prod?"),
    ({"app": ["portal", "ledgr"]}, "option app: there is no app 'ledgr': did you mean ledger?"),
    ({"role": ["dockr"]}, "option role: there is no role 'dockr': did you mean docker?"),
    ({"state": ["actve"]}, "option state: there is no state 'actve': did you mean active?"),
]


def test_an_unknown_value_is_named_now_and_in_the_past(store: Store) -> None:
    past_too: tuple[dict[str, Any], ...] = ({}, {"as_of": str(store.declared_seq())})
    for (options, said), more in itertools.product(UNKNOWN, past_too):
        with pytest.raises(NotFoundError, match=re.escape(said)):
            assembly.read(store, Wanted(parse({**options, **more})))


def test_the_past_is_what_was_read_then_host_keys_included(store: Store, tmp_path: Path) -> None:
    wanted = Wanted(parse({"idc": ["b"], "group_by": [["idc", "room", "rack"]]}), ssh_directory=tmp_path)
    before, whole, seq = assembly.read(store, wanted), snapshot.read(store), store.declared_seq()
    with store.write(reason="much changes", ticket="CHG-7") as session:
        dk, gate = lookup.host(session, "dk-3"), lookup.host(session, "gate-2")
        hosts.pin_keys(session, dk, {"ssh-ed25519": "OTHER"}, replace=True)
        hosts.transition(session, dk, "maintenance")
        gate.ssh_via = None
        dk.attrs = {"team": "x"}
        for part in (*lookup.host(session, "dk-2").block_devices, *lookup.host(session, "dk-2").bridges):
            session.delete(part)
        for row in session.scalars(select(FirewallZone)):
            row.allows = ["ping"]
        for row in session.scalars(select(LbPool)):
            session.delete(row)
        for vip in session.scalars(select(Vip)):
            session.delete(vip)
        for certificate in session.scalars(select(Certificate)):
            session.delete(certificate)
        session.delete(lookup.placement(session, "ledger", "prod"))
    assert assembly.read(store, wanted) != before
    for moment in (str(seq), "ticket:CHG-7"):
        then = replace(wanted, options=replace(wanted.options, as_of=moment))
        found = assembly.read(store, then)
        assert (found.inventory.hosts, found.files) == (before.inventory.hosts, before.files)
        assert found.inventory.groups.members == before.inventory.groups.members
    with store.read() as session:
        assert past.snapshot(history.documents(session, seq), seq) == whole
