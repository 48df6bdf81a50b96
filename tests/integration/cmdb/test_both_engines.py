"""The CMDB on SQLite and on PostgreSQL: the same code, the same behaviour."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, inspect, select, text

from drcloud.cmdb import exporter, hosts, importer, leases, lookup, observations, snapshot
from drcloud.cmdb.base import Base
from drcloud.cmdb.declared import Address, Host, Idc, Prefix
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, InvalidInputError, LockedError

LAB = Path(__file__).parents[3] / "inventories/lab/idc.yml"


@pytest.fixture
def store(cmdb_url: str) -> Store:
    return Store.open(cmdb_url)


def test_migrations_make_the_schema_of_the_models(store: Store) -> None:
    with store.operate() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_make_the_checks_of_the_models(store: Store) -> None:
    with store.read() as session:
        found = inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            checks = [one for one in table.constraints if isinstance(one, CheckConstraint)]
            made = {one["name"] for one in found.get_check_constraints(table.name)}
            assert made == {str(one.name) for one in checks}, table.name


def test_create_twice(store: Store) -> None:
    assert Store.create(store.url).declared_seq() == 0


def test_import_export_and_again(store: Store, tmp_path: Path) -> None:
    assert importer.import_files(store, importer.Request((LAB,)))
    seq = store.declared_seq()
    assert importer.import_files(store, importer.Request((LAB,))) == ()
    assert store.declared_seq() == seq
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(store), encoding="utf-8")
    assert importer.import_files(store, importer.Request((path,))) == ()
    seen = snapshot.read(store)
    assert seen.seq == seq
    assert {host.name for host in seen.hosts} >= {"dk-01", "lb-01", "bastion-01"}
    assert all(set(slots) == {"a", "b"} for one in seen.placements for slots in one.ports.values())


def test_life_of_a_host(store: Store) -> None:
    importer.import_files(store, importer.Request((LAB,)))
    with store.write(reason="first contact", actor="张三") as session:
        dk = lookup.host(session, "dk-01")
        hosts.pin_keys(session, dk, {"ssh-ed25519": "AAAA"})
        hosts.transition(session, dk, "provisioning")
    observations.record_facts(store, "dk-01", {"内核": "6.1"})
    observations.record_instances(store, "dk-01", [], "observe")
    with store.read() as session:
        last = session.scalars(select(ChangeLog).order_by(ChangeLog.seq.desc()).limit(1)).one()
        assert (last.actor, last.key, last.action) == ("张三", "dk-01", "update")
        assert (last.before or {})["state"] == "planned"
    assert store.observed_seq() == 1


def test_a_new_row_has_no_before(store: Store) -> None:
    with store.write(reason="x") as session:
        session.add(Idc(code="a"))
    with store.read() as session:
        assert session.scalars(text("SELECT count(*) FROM change_log WHERE before IS NULL")).one() == 1


@pytest.mark.parametrize("statement", ["UPDATE change_log SET actor = 'x'", "DELETE FROM change_log"])
def test_the_log_is_append_only(store: Store, statement: str) -> None:
    with store.write(reason="x") as session:
        session.add(Idc(code="a"))
    with pytest.raises(Exception, match="append-only"), store.operate() as session:
        session.execute(text(statement))


def test_a_reader_sees_one_state_and_cannot_write(store: Store) -> None:
    with store.read() as session:
        assert session.scalars(select(Idc)).all() == []
        with store.write(reason="meanwhile") as other:
            other.add(Idc(code="a"))
        assert session.scalars(select(Idc)).all() == []
    with pytest.raises(Exception, match=r"not writable|read-only"), store.read() as session:
        session.execute(text("UPDATE sequence SET value = 0"))


def test_constraints_hold_in_the_database(store: Store) -> None:
    importer.import_files(store, importer.Request((LAB,)))
    with pytest.raises(InvalidInputError, match="inside_prefix"), store.write(reason="x") as session:
        prefix = session.scalars(select(Prefix).where(Prefix.cidr == "10.90.0.0/25")).one()
        session.add(Address(address="192.0.2.1", prefix=prefix, host=Host(name="x", role="docker")))
    with pytest.raises(InvalidInputError, match=r"host\.name|host_name"), store.write(reason="x") as session:
        session.add(Host(name="dk-01", role="docker"))
    with pytest.raises(InvalidInputError, match="ck_host_state"), store.write(reason="x") as session:
        session.add(Host(name="new", role="docker", state="gone"))


def test_a_stale_row_is_refused(store: Store) -> None:
    importer.import_files(store, importer.Request((LAB,)))
    with store.read() as session:
        stale = lookup.host(session, "dk-01")
    with store.write(reason="first") as session:
        lookup.host(session, "dk-01").role = "lb"
    with pytest.raises(LockedError, match="somebody else"), store.write(reason="second") as session:
        session.add(stale)
        stale.role = "infra"


def test_leases(store: Store) -> None:
    from datetime import timedelta

    minute = timedelta(minutes=1)
    [token] = leases.acquire(store, [("a", True)], holder="run-1", purpose="x", ttl=minute).values()
    with pytest.raises(LockedError, match="a is locked by run-1 for x"):
        leases.acquire(store, [("a", False)], holder="run-2", purpose="x", ttl=minute)
    leases.release(store, "run-1")
    [later] = leases.acquire(store, [("a", True)], holder="run-2", purpose="x", ttl=minute).values()
    assert later > token


def test_newer_schema(store: Store) -> None:
    with store.operate() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CmdbError, match="has schema 9999"):
        Store.open(store.url)


def test_a_server_without_a_cmdb(postgresql: str) -> None:
    with pytest.raises(CmdbError, match=r"there is no CMDB in .* yet: run `drcloud init`"):
        Store.open(f"{postgresql}/postgres")
    with pytest.raises(CmdbError, match="does not exist on the server; create the database"):
        Store.open(f"{postgresql}/none")


def test_a_user_the_server_does_not_know(postgresql: str) -> None:
    url = re.sub("drcloud@", "nobody:geheim@", postgresql)
    with pytest.raises(CmdbError, match="refuses the user or the password") as caught:
        Store.open(f"{url}/postgres")
    assert "geheim" not in str(caught.value)


def test_a_connection_that_is_cut(postgresql: str) -> None:
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE cut")
        store = Store.create(f"{postgresql}/cut")
        with pytest.raises(CmdbError), store.write(reason="x") as session:
            session.add(Idc(code="a"))
            session.flush()
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut'")
        assert store.declared_seq() == 0
