"""What a pull makes of a NetBox: the same against the stand-in and against a real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.integration.netbox.box import Company

from drcloud.cmdb import exporter, importer
from drcloud.cmdb.declared import Host
from drcloud.cmdb.netbox import sync
from drcloud.cmdb.netbox.sync import Request, Result
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.state import State
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

pytestmark = pytest.mark.timeout(3600)  # the first migration of a real NetBox takes minutes

Pull = Callable[..., Result]
Read = Callable[[], State]


both_engines = pytest.mark.usefixtures("cmdb_url")


def some(fields: dict[str, Any], *names: str) -> list[Any]:
    return [fields[name] for name in names]


def told(result: Result) -> list[str]:
    return [f"{change.action} {change.kind} {change.key}" for change in result.plan.changes]


def test_places_hosts_and_networks_arrive(company: Company, pull: Pull, state: Read) -> None:
    result = pull(company.box)
    now = state()
    assert some(now["idc"]["bj1"], "code", "name") == ["bj1", "北京一号"]
    assert list(now["room"]) == ["bj1/b3.r1", "bj1/main"]
    assert now["room"]["bj1/b3.r1"]["name"] == "三层机房"
    assert {key: rack["units"] for key, rack in now["rack"].items()} == {
        "bj1/b3.r1/A-01": 42,
        "bj1/main/机柜-02": 24,
    }
    assert some(now["hardware_model"]["dell-r740"], "vendor", "rack_units") == ["Dell", 2]
    web = now["host"]["web-01"]
    assert some(web, "role", "state", "rack") == ["docker", "planned", "bj1/b3.r1/A-01"]
    assert some(web, "model", "serial", "asset_tag") == ["dell-r740", "SN1", None]
    assert now["host"]["db-01"]["asset_tag"] == "A-77"
    assert {key: slot["host"] for key, slot in now["rack_slot"].items()} == {
        "bj1/b3.r1/A-01/10": "web-01",
        "bj1/b3.r1/A-01/11": "web-01",
    }
    assert list(now["host_tag"]) == ["web-01/core-service"]
    assert some(now["nic"]["web-01/eth0"], "mac", "speed_mbps") == ["52:54:00:ab:cd:01", 10_000]
    assert {key: some(one, "aggregate", "idc") for key, one in now["prefix"].items()} == {
        "10.20.0.0/16": [True, None],
        "10.20.1.0/24": [False, "bj1"],
    }
    address = now["address"]["10.20.1.11"]
    assert some(address, "host", "nic") == ["web-01", "web-01/eth0"]
    assert some(address, "prefix", "purpose") == ["10.20.1.0/24", "management"]
    assert now["host"]["web-01"]["attrs"] == {
        "netbox": {"url": company.box.url, "object": f"dcim/devices/{company.web}"}
    }
    assert result.read["dcim/devices"] == 2


def test_a_second_pull_finds_nothing_to_do(company: Company, pull: Pull, store: Store) -> None:
    pull(company.box)
    before = store.declared_seq()
    assert told(pull(company.box)) == []
    assert told(pull(company.box, full=True)) == []
    assert store.declared_seq() == before


def test_the_log_says_where_it_came_from(company: Company, pull: Pull, store: Store) -> None:
    pull(company.box, ticket="CHG-7")
    with store.read() as session:
        rows = session.execute(select(ChangeLog.reason, ChangeLog.ticket).distinct()).all()
    assert [tuple(row) for row in rows] == [("sync from netbox", "CHG-7")]


def test_a_dry_run_writes_nothing(company: Company, pull: Pull, store: Store, state: Read) -> None:
    result = pull(company.box, dry_run=True)
    assert "create host web-01" in told(result)
    assert store.declared_seq() == 0
    assert state()["host"] == {}


def test_changes_in_netbox_follow(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    spare = company.box.make("dcim/device-roles", name="Spare", slug="spare", color="0000ff")
    company.box.change("dcim/devices", company.web, serial="SN9", position=20, tags=[], role=spare)
    company.box.change("dcim/interfaces", company.eth, mac_address="52:54:00:AB:CD:99")
    assert sorted(told(pull(company.box))) == [
        "create rack_slot bj1/b3.r1/A-01/20",
        "create rack_slot bj1/b3.r1/A-01/21",
        "delete host_tag web-01/core-service",
        "delete rack_slot bj1/b3.r1/A-01/10",
        "delete rack_slot bj1/b3.r1/A-01/11",
        "update host web-01",
        "update nic web-01/eth0",
    ]
    now = state()
    assert some(now["host"]["web-01"], "serial", "role") == ["SN9", "spare"]
    assert now["nic"]["web-01/eth0"]["mac"] == "52:54:00:ab:cd:99"


@both_engines
def test_a_host_moves_to_another_rack(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    company.box.change("dcim/devices", company.web, location=None, rack=company.shelf, position=3)
    pull(company.box)
    now = state()
    assert now["host"]["web-01"]["rack"] == "bj1/main/机柜-02"
    assert list(now["rack_slot"]) == ["bj1/main/机柜-02/3", "bj1/main/机柜-02/4"]


@both_engines
def test_rows_follow_their_objects_to_new_names(
    company: Company, pull: Pull, store: Store, state: Read
) -> None:
    pull(company.box)
    with store.read() as session:
        before = {host.uid: host.name for host in session.scalars(select(Host))}
    company.box.change("dcim/sites", company.site, slug="bj9")
    company.box.change("dcim/devices", company.web, name="web-02")
    company.box.change("dcim/devices", company.db, name="web-01")
    company.box.change("ipam/ip-addresses", company.ip, address="10.20.1.99/24")
    pull(company.box)
    now = state()
    assert list(now["rack"]) == ["bj9/b3.r1/A-01", "bj9/main/机柜-02"]
    assert now["address"]["10.20.1.99"]["nic"] == "web-02/eth0"
    assert list(now["address"]) == ["10.20.1.99", "10.20.1.12"]
    with store.read() as session:
        after = {host.uid: host.name for host in session.scalars(select(Host))}
    assert {before[uid]: name for uid, name in after.items()} == {"web-01": "web-02", "db-01": "web-01"}


@both_engines
def test_the_primary_address_moves(company: Company, pull: Pull, state: Read) -> None:
    other = company.address("10.20.1.10/24", company.eth)
    pull(company.box)
    assert state()["address"]["10.20.1.10"]["purpose"] == "service"
    company.box.change("dcim/devices", company.web, primary_ip4=other)
    pull(company.box)
    found = {key: one["purpose"] for key, one in state()["address"].items()}
    assert found == {"10.20.1.10": "management", "10.20.1.11": "service", "10.20.1.12": "management"}


@both_engines
def test_two_hosts_give_each_other_their_serials(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    company.box.change("dcim/devices", company.web, serial="")
    company.box.change("dcim/devices", company.db, serial="SN1")
    company.box.change("dcim/devices", company.web, serial="SN2")
    pull(company.box)
    assert {key: host["serial"] for key, host in state()["host"].items()} == {"web-01": "SN2", "db-01": "SN1"}


def test_what_belongs_to_the_cmdb_stays(company: Company, pull: Pull, store: Store, state: Read) -> None:
    pull(company.box)
    with store.write(reason="in use") as session:
        host = session.scalars(select(Host).where(Host.name == "web-01")).one()
        host.state, host.ssh_user = "provisioning", "ops"
        host.attrs = {**host.attrs, "team": "core"}
    company.box.change("dcim/devices", company.web, serial="SN9", status="offline")
    pull(company.box)
    now = state()["host"]["web-01"]
    assert some(now, "serial", "state", "ssh_user") == ["SN9", "provisioning", "ops"]
    assert now["attrs"]["team"] == "core"


def test_a_host_that_was_made_here_is_no_prey(
    company: Company, pull: Pull, store: Store, state: Read
) -> None:
    with store.write(reason="by hand") as session:
        session.add(Host(name="web-01", role="lb", ssh_user="ops"))
    with pytest.raises(InvalidInputError, match=r"host web-01 is in the CMDB .* --adopt host:web-01"):
        pull(company.box)
    assert state()["idc"] == {}
    pull(company.box, adopt=frozenset({"host:web-01"}))
    assert some(state()["host"]["web-01"], "role", "ssh_user") == ["docker", "ops"]


def test_what_vanished_is_told_and_stays(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    company.box.remove("dcim/devices", company.web)
    result = pull(company.box)
    assert set(result.plan.vanished) == {
        ("host", "web-01"),
        ("nic", "web-01/eth0"),
        ("address", "10.20.1.11"),
    }
    assert told(result) == []
    assert state()["host"]["web-01"]["state"] == "planned"


@both_engines
def test_prune_retires_hosts_and_removes_the_rest(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    company.box.remove("dcim/devices", company.web)
    pull(company.box, prune=True)
    now = state()
    assert now["host"]["web-01"]["state"] == "retired"
    assert [list(now[kind]) for kind in ("nic", "address", "rack_slot", "host_tag")] == [
        ["db-01/eth0"],
        ["10.20.1.12"],
        [],
        [],
    ]
    again = pull(company.box, prune=True)
    assert (told(again), again.plan.vanished) == ([], ())


def test_prune_does_not_retire_what_is_in_service(
    company: Company, pull: Pull, store: Store, state: Read
) -> None:
    pull(company.box)
    for step in ("provisioning", "active"):
        with store.write(reason="in use") as session:
            session.scalars(select(Host).where(Host.name == "web-01")).one().state = step
    company.box.remove("dcim/devices", company.web)
    with pytest.raises(InvalidInputError, match="host web-01 is active and cannot become retired"):
        pull(company.box, prune=True)
    assert "web-01/eth0" in state()["nic"]


def test_an_object_that_was_deleted_and_made_again_is_the_same_host(
    company: Company, pull: Pull, state: Read
) -> None:
    pull(company.box)
    company.box.remove("dcim/devices", company.web)
    company.web = company.device("web-01", rack=company.rack, position=10, face="front", serial="SN1")
    company.address("10.20.1.11/24", company.port(company.web, "eth0"), primary_of=company.web)
    result = pull(company.box, prune=True)
    now = state()
    assert now["host"]["web-01"]["attrs"]["netbox"]["object"] == f"dcim/devices/{company.web}"
    assert now["address"]["10.20.1.11"]["host"] == "web-01"
    assert "update host web-01" in told(result)


@both_engines
def test_a_prefix_is_divided_under_its_addresses(company: Company, pull: Pull, state: Read) -> None:
    pull(company.box)
    for half in ("10.20.1.0/25", "10.20.1.128/25"):
        company.box.make("ipam/prefixes", prefix=half)
    pull(company.box)
    now = state()
    assert now["prefix"]["10.20.1.0/24"]["aggregate"]
    assert now["address"]["10.20.1.11"]["prefix"] == "10.20.1.0/25"
    company.box.remove("ipam/prefixes", company.prefix)
    pull(company.box, prune=True)
    assert list(state()["prefix"]) == ["10.20.0.0/16", "10.20.1.0/25", "10.20.1.128/25"]


def test_the_same_addresses_in_another_vrf(company: Company, pull: Pull, state: Read) -> None:
    blue = company.box.make("ipam/vrfs", name="蓝网")
    company.box.make("ipam/prefixes", prefix="10.20.1.0/24", vrf=blue)
    company.address("10.20.1.11/24", company.eth, vrf=blue)
    pull(company.box)
    found = {key: one["prefix"] for key, one in state()["address"].items()}
    assert found == {
        "10.20.1.11": "10.20.1.0/24",
        "10.20.1.12": "10.20.1.0/24",
        "10.20.1.11@蓝网": "10.20.1.0/24@蓝网",
    }


def test_only_one_site_and_one_role(company: Company, pull: Pull, state: Read) -> None:
    site = company.box.make("dcim/sites", name="上海", slug="sh1", status="active")
    switch = company.box.make("dcim/device-roles", name="Switch", slug="switch", color="ff0000")
    company.box.make("ipam/prefixes", prefix="10.30.1.0/24", scope_type="dcim.site", scope_id=site)
    for name, role, last in (("sh-01", company.docker, 1), ("sh-sw", switch, 2)):
        number = company.device(name, site=site, role=role)
        company.address(f"10.30.1.{last}/24", company.port(number, "eth0"), primary_of=number)
    pull(company.box, sites=("sh1",), roles=("docker",))
    now = state()
    assert [list(now[kind]) for kind in ("idc", "host", "address")] == [["sh1"], ["sh-01"], ["10.30.1.1"]]
    everything = pull(company.box)
    assert everything.plan.vanished == ()
    assert set(state()["host"]) == {"sh-01", "sh-sw", "web-01", "db-01"}
    company.box.remove("dcim/devices", company.web)
    assert pull(company.box, sites=("sh1",)).plan.vanished == ()


def test_an_export_carries_along_what_came_from_where(
    company: Company, pull: Pull, store: Store, tmp_path: Path
) -> None:
    pull(company.box)
    file = tmp_path / "export.yml"
    file.write_text(exporter.export(store), "utf-8")
    copy = Store.create(f"sqlite:///{tmp_path}/copy.sqlite3")
    importer.import_files(copy, importer.Request((file,)))
    result = sync.pull(copy, Request(company.box.access))
    assert {change.kind for change in result.plan.changes} <= {"address"}
    assert sync.pull(copy, Request(company.box.access)).plan.changes == ()


def test_devices_that_are_no_hosts_yet_are_left_out_and_named(
    company: Company, pull: Pull, state: Read
) -> None:
    unnamed = company.device(None)
    bare = company.device("web-09")
    result = pull(company.box)
    assert set(result.plan.left_out) == {
        f"dcim/devices/{unnamed} has no name",
        f"web-09 (dcim/devices/{bare}) has no primary address",
    }
    assert "web-09" not in state()["host"]


def test_a_host_that_loses_its_primary_address_in_netbox_keeps_it_here(
    company: Company, pull: Pull, state: Read
) -> None:
    pull(company.box)
    company.box.change("dcim/devices", company.web, primary_ip4=None, serial="SN9")
    result = pull(company.box)
    assert result.plan.left_out == (f"web-01 (dcim/devices/{company.web}) has no primary address",)
    assert (told(result), result.plan.vanished) == ([], ())
    assert state()["address"]["10.20.1.11"]["host"] == "web-01"


def test_names_that_do_not_fit_are_all_told_at_once(company: Company, pull: Pull, store: Store) -> None:
    clash = company.device("Web 01")
    company.address("10.20.1.21/24", company.port(clash, "eth0"), primary_of=clash)
    chinese = company.device("数据库")
    company.address("10.20.1.22/24", company.port(chinese, "eth0"), primary_of=chinese)
    astray = company.device("web-03", serial="SN1")
    company.address("192.0.2.7/24", company.port(astray, "eth0"), primary_of=astray)
    with pytest.raises(InvalidInputError) as caught:
        pull(company.box)
    text = str(caught.value)
    assert f"web-01 (dcim/devices/{company.web}) and Web 01 (dcim/devices/{clash}) would both be" in text
    assert f"数据库 (dcim/devices/{chinese}): '数据库' gives no host name" in text
    assert store.declared_seq() == 0


def test_a_host_on_a_broadcast_address_is_named(company: Company, pull: Pull, store: Store) -> None:
    astray = company.device("web-03")
    company.box.make("ipam/prefixes", prefix="192.0.2.0/24", status="active")
    # With the mask of its prefix NetBox itself would refuse it.
    number = company.address("192.0.2.255/32", company.port(astray, "eth0"), primary_of=astray)
    with pytest.raises(InvalidInputError) as caught:
        pull(company.box)
    assert (
        f"192.0.2.255/32 (ipam/ip-addresses/{number}) of host web-03 is the broadcast address of "
        "prefix 192.0.2.0/24: correct it in NetBox"
    ) in str(caught.value)
    assert store.declared_seq() == 0


def test_an_address_outside_of_all_prefixes_and_a_serial_twice(
    company: Company, pull: Pull, store: Store
) -> None:
    astray = company.device("web-03", serial="SN1")
    number = company.address("192.0.2.7/24", company.port(astray, "eth0"), primary_of=astray)
    with pytest.raises(InvalidInputError) as caught:
        pull(company.box)
    text = str(caught.value)
    assert f"192.0.2.7/24 (ipam/ip-addresses/{number}) of host web-03 lies in no prefix" in text
    assert (
        f"web-01 (dcim/devices/{company.web}) and web-03 (dcim/devices/{astray}) have the same serial SN1"
        in text
    )
    assert store.declared_seq() == 0
