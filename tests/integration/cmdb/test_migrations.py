"""Upgrades from every released schema, with data in it, on both engines."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect, make_url, text

from drcloud.cmdb import edge, engine, exporter, history, importer, schema, snapshot
from drcloud.cmdb import state as states
from drcloud.cmdb.base import Base
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError

RELEASED = schema.revisions()[:-1]
NOW = "2026-11-22 10:00:00.000000"
TIMES = ("created_at", "updated_at", "at", "observed_at", "started_at")
# Every declared table of 0001 has rows, and so have the operational ones that refer to them.
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("idc", {"id": 1, "code": "bj1", "name": "北京"}),
    ("room", {"id": 1, "idc_id": 1, "code": "r1", "name": ""}),
    ("rack", {"id": 1, "room_id": 1, "code": "a01"}),
    ("environment", {"id": 1, "name": "prod"}),
    ("prefix", {"id": 1, "cidr": "10.90.0.0/24", "idc_id": 1, "purpose": "management", "range": "0a5a00"}),
    ("prefix", {"id": 2, "cidr": "10.90.1.0/24", "idc_id": None, "purpose": "service", "range": "0a5a01"}),
    ("host", {"id": 1, "name": "bastion-01", "role": "bastion", "state": "active", "ssh_via_id": None}),
    ("host", {"id": 2, "name": "dk-01", "role": "docker", "state": "maintenance", "ssh_via_id": 1}),
    ("address", {"id": 1, "address": "10.90.0.5", "host_id": 1, "last": "05"}),
    ("address", {"id": 2, "address": "10.90.0.11", "host_id": 2, "last": "0b"}),
    ("block_device", {"id": 1, "host_id": 2, "path": "/dev/sdb", "purpose": "spare"}),
    ("host_key", {"id": 1, "host_id": 2, "type": "ssh-ed25519", "key": "AAAA"}),
    ("host_fact", {"id": 1, "host_id": 2, "facts": "{}"}),
    ("observation", {"id": 1, "host_id": 2, "source": "observe"}),
    ("registry", {"id": 1, "name": "main", "host_id": 1, "port": 5000}),
    ("app", {"id": 1, "name": "demo", "registry_id": 1, "spec_version": 1}),
    ("app_spec_version", {"id": 1, "app_id": 1, "number": 1, "document": '{"image": "a/b", "port": 80}'}),
    (
        "placement",
        {"id": 1, "app_id": 1, "environment_id": 1, "min_in_service": 0, "batch": 1, "lb_port": None},
    ),
    ("placement_host", {"id": 1, "placement_id": 1, "host_id": 2, "position": 0}),
    ("allocation", {"id": 1, "pool": "ports:dk-01", "owner": "demo/prod/a", "value": 20007}),
    ("release", {"id": 1, "app_id": 1, "tag": "rt67", "digest": "sha256:" + "a" * 64}),
    ("channel", {"id": 1, "app_id": 1, "tag": "prod", "release_id": 1}),
    ("schedule", {"id": 1, "name": "nightly", "playbook": "p", "calendar": "daily"}),
    (
        "change_log",
        {"id": 1, "seq": 1, "actor": "张三", "reason": "r", "kind": "idc", "key": "bj1", "action": "create"},
    ),
)
# What 0002 asks of these rows, and what only it has: zones, VIPs with pools, certificates, app volumes.
SINCE_0002: dict[str, dict[str, Any]] = {
    "rack": {"units": 42},
    "environment": {"change_required": False},
    "prefix": {"aggregate": False},
    "address": {"purpose": "management"},
}
ROWS_0002: tuple[tuple[str, dict[str, Any]], ...] = (
    ("firewall_zone", {"id": 1, "name": "dmz", "description": "外部"}),
    ("address", {"id": 3, "address": "10.90.0.100", "host_id": None, "last": "64", "purpose": "vip"}),
    ("vip", {"id": 1, "name": "www", "address_id": 3, "vrrp_id": None}),
    (
        "certificate",
        {"id": 1, "name": "www", "subject": "a", "issuer": "b", "not_after": NOW, "fingerprint": "0" * 64},
    ),
    (
        "lb_pool",
        {
            "id": 1,
            "name": "p",
            "vip_id": 1,
            "port": 443,
            "mode": "http",
            "placement_id": 1,
            "certificate_id": 1,
        },
    ),
    ("block_device", {"id": 2, "host_id": 2, "path": "/dev/sdc", "purpose": "app-volume"}),
    (
        "change_log",
        {
            **{"id": 2, "seq": 2, "actor": "李四", "reason": "r", "kind": "firewall_zone", "key": "dmz"},
            **{"action": "update", "before": '{"name": "dmz", "description": "", "attrs": {}}'},
            "after": '{"name": "dmz", "description": "外部", "attrs": {"owner": "张三"}}',
        },
    ),
)


SINCE_0003: dict[str, dict[str, Any]] = {"firewall_zone": {"allows": "[]"}}


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    with engine.for_migrating(engine.build(engine.locate(url))).begin() as connection:
        yield connection


def build(connection: Connection, revision: str) -> None:
    """Make the schema of a revision and fill it, as the program of that time would have."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    command.upgrade(config, revision)
    tables = inspect(connection)
    rows = (*ROWS, *(ROWS_0002 if revision >= "0002" else ()))
    for table, fields in rows:
        values = {**(SINCE_0002.get(table, {}) if revision >= "0002" else {}), **_filled(dict(fields), table)}
        values |= SINCE_0003.get(table, {}) if revision >= "0003" else {}
        for column in tables.get_columns(table):
            if column["name"] in TIMES and not column["nullable"]:
                values[column["name"]] = NOW
            if column["name"] in ("uid",):
                values["uid"] = str(uuid.uuid4())
            if column["name"] == "version":
                values["version"] = 3
            if column["name"] == "attrs":
                values["attrs"] = '{"owner": "张三"}'
        names = ", ".join(values)
        holders = ", ".join(f":{name}" for name in values)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({holders})"), values)
    if connection.dialect.name == "postgresql":
        for table in {table for table, _ in rows}:
            connection.execute(
                text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
            )
    changes = sum(table == "change_log" for table, _ in rows)
    connection.execute(text(f"UPDATE sequence SET value = {changes} WHERE name = 'declared'"))


def _filled(fields: dict[str, Any], table: str) -> dict[str, Any]:
    if table == "prefix":
        start = fields.pop("range")
        fields |= {"first": f"4:{start + '00':0>32}", "last": f"4:{start + 'ff':0>32}"}
    if table == "address":
        value = f"4:{'0a5a00' + fields.pop('last'):0>32}"
        whole = {"prefix_first": f"4:{'0a5a0000':0>32}", "prefix_last": f"4:{'0a5a00ff':0>32}"}
        fields |= {"value": value, "prefix_id": 1, **whole}
    if table == "host":
        fields |= {"rack_id": 1, "ssh_user": "ops", "ssh_port": 22}
    return fields


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/old.sqlite3"
    server, name = request.getfixturevalue("postgresql"), f"old_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server}/{name}"


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old(released: str, url: str) -> Store:
    """Return a CMDB of a released schema, with data."""
    with migrating(url) as connection:
        build(connection, released)
    return Store.at(url)


def test_an_upgrade_keeps_what_there_is(old: Store, released: str) -> None:
    with pytest.raises(CmdbError, match=r"needs \d+: run `drcloud cmdb upgrade`"):
        Store.open(old.url)
    assert old.upgrade() == (released, schema.revisions()[-1])
    store = Store.open(old.url)
    seen = snapshot.read(store)
    assert {host.name: (host.address, host.state, host.ssh_via) for host in seen.hosts} == {
        "bastion-01": ("10.90.0.5", "active", None),
        "dk-01": ("10.90.0.11", "maintenance", "bastion-01"),
    }
    assert [one.ports for one in seen.placements] == [{"dk-01": {"a": 20007}}]
    with store.read() as session:
        state = states.load(session).documents
        versions = session.scalars(text("SELECT DISTINCT version FROM address")).all()
    assert versions == [3]
    assert state["prefix"]["10.90.0.0/24"] == {
        **dict.fromkeys(("vrf", "vlan", "zone")),
        "cidr": "10.90.0.0/24",
        "aggregate": False,
        "purpose": "management",
        "idc": "bj1",
        "attrs": {"owner": "张三"},
    }
    assert {one["purpose"] for one in state["address"].values() if one["host"]} == {"management"}
    assert state["rack"]["bj1/r1/a01"]["units"] == 42
    assert state["environment"]["prod"]["change_required"] is False


def test_an_upgraded_cmdb_has_the_schema_of_a_new_one(old: Store) -> None:
    old.upgrade()
    with old.operate() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        found = inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            wanted = {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}
            assert {one["name"] for one in found.get_check_constraints(table.name)} == wanted, table.name
            pointed = {
                (*key["constrained_columns"], key["referred_table"])
                for key in found.get_foreign_keys(table.name)
            }
            assert pointed == {
                (*key.column_keys, key.referred_table.name) for key in table.foreign_key_constraints
            }, table.name


def test_an_upgraded_cmdb_works(old: Store, tmp_path: Path) -> None:
    """It exports, imports its own export without a change, takes new rows, and guards them."""
    old.upgrade()
    store = Store.open(old.url)
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(store), encoding="utf-8")
    changed = [change.line() for change in importer.import_files(store, importer.Request((path,)))]
    assert changed == [
        "+ allocation ports:dk-01/demo/prod/b  pool: ports:dk-01, owner: demo/prod/b, value: 20000"
    ]
    more = tmp_path / "more.yml"
    more.write_text(
        "drcloud: 1\nprefixes: [{cidr: 10.90.2.0/24}]\n"
        "hosts: [{name: dk-02, role: docker, address: 10.90.2.2, rack: bj1/r1/a01, unit: 7}]\n"
    )
    importer.import_files(store, importer.Request((more,)))
    with pytest.raises(Exception, match="cannot move like this"), store.operate() as session:
        session.execute(text("UPDATE host SET state = 'planned' WHERE name = 'bastion-01'"))


def test_what_0003_adds_is_empty_at_first(url: str) -> None:
    """A volume without a mount, a VIP without balancers, a zone that allows nothing: as before."""
    with migrating(url) as connection:
        build(connection, "0002")
    store = Store.at(url)
    store.upgrade()
    seen = snapshot.read(store)
    assert [host.bridges for host in seen.hosts] == [(), ()]
    [_, volume] = next(host.block_devices for host in seen.hosts if host.name == "dk-01")
    assert volume == {
        **dict.fromkeys(("serial", "wwn", "filesystem", "mount", "uuid", "app")),
        "path": "/dev/sdc",
        "purpose": "app-volume",
    }
    assert seen.edge.zones == (edge.ZoneRow("dmz", (), ()),)
    assert seen.edge.vips == (edge.VipRow("www", "10.90.0.100", 24, None, ()),)
    [certificate] = seen.edge.certificates
    assert (certificate.pem, certificate.host, certificate.purpose) == (None, None, None)
    with store.read() as session:
        before = history.documents(session, 1)["firewall_zone"]["dmz"]
    assert (before["description"], before["allows"]) == ("", [])


def test_deployments_of_before_0004_knew_no_configuration(url: str) -> None:
    with migrating(url) as connection:
        build(connection, "0003")
        connection.execute(
            text(
                "INSERT INTO deployment (id, uid, app_id, environment_id, tag, digest, revision, "
                "spec_version, plan, state, reason, actor, started_at) "
                "VALUES (1, 'd', 1, 1, 'rt67', 'sha256:a', 'r', 1, "
                f"'{{}}', 'succeeded', '', '张三', '{NOW}')"
            )
        )
    store = Store.at(url)
    store.upgrade()
    with store.operate() as session:
        assert session.scalars(text("SELECT config_version FROM deployment")).all() == [0]
        session.execute(text("UPDATE deployment SET config_version = 2"))


def test_nested_prefixes_of_old_become_aggregates(url: str) -> None:
    """Only the program refused them then; whoever wrote past it keeps the data."""
    with migrating(url) as connection:
        build(connection, RELEASED[0])
        connection.execute(
            text(f"UPDATE prefix SET cidr = '10.90.0.0/15', last = '4:{'0a5bffff':0>32}' WHERE id = 1")
        )
        if connection.dialect.name == "sqlite":
            connection.execute(
                text("UPDATE address SET prefix_last = (SELECT last FROM prefix WHERE id = 1)")
            )
    store = Store.at(url)
    store.upgrade()
    with store.read() as session:
        assert session.scalars(text("SELECT aggregate FROM prefix ORDER BY id")).all() == [1, 0]


def test_a_failed_upgrade_leaves_the_old_cmdb(tmp_path: Path) -> None:
    """A row that refers to nothing is told, and nothing of the new schema is there."""
    url = f"sqlite:///{tmp_path}/old.sqlite3"
    with migrating(url) as connection:
        build(connection, RELEASED[0])
        connection.execute(text("UPDATE room SET idc_id = 99"))
    with pytest.raises(CmdbError, match="of table room refers to a row of idc that does not exist"):
        Store.at(url).upgrade()
    with sqlite3.connect(str(make_url(url).database)) as connection_:
        assert connection_.execute("SELECT version_num FROM alembic_version").fetchone() == (RELEASED[0],)
        assert not connection_.execute("SELECT 1 FROM sqlite_master WHERE name = 'waiver'").fetchone()


def test_an_older_program_refuses_a_newer_schema(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.create(url)
    present = schema.revisions()[-1]
    monkeypatch.setattr(schema, "revisions", lambda: RELEASED)
    newest = f"has schema {present}, drcloud .* knows up to {RELEASED[-1]}: "
    newest += "it was written by a newer drcloud"
    with pytest.raises(CmdbError, match=newest):
        Store.open(url)
    with pytest.raises(CmdbError, match=newest):
        Store.at(url).upgrade()
