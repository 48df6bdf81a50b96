"""The unit of work: what is logged, in which order, and what is refused."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import Address, App, Host, Idc, Prefix, Rack, Registry, Release, Room
from drcloud.cmdb.operational import ChangeLog, Outbox, Sequence
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, LockedError


def entries(store: Store, after: int = 0) -> list[ChangeLog]:
    with store.read() as session:
        return list(session.scalars(select(ChangeLog).where(ChangeLog.seq > after).order_by(ChangeLog.seq)))


def flat(document: object) -> list[str]:
    if isinstance(document, dict):
        return [str(key) for key in document] + [word for value in document.values() for word in flat(value)]
    return []


def test_rows_are_told_by_natural_keys(store: Store) -> None:
    with store.write(reason="new rack", actor="alice", ticket="CHG-1") as session:
        rack = Rack(code="a01", room=Room(code="r1", idc=Idc(code="bj1", name="北京")))
        session.add(Host(name="dk-01", role="docker", rack=rack))
    logged = entries(store)
    assert [(row.seq, row.kind, row.key, row.action) for row in logged] == [
        (1, "idc", "bj1", "create"),
        (2, "room", "bj1/r1", "create"),
        (3, "rack", "bj1/r1/a01", "create"),
        (4, "host", "dk-01", "create"),
    ]
    assert {(row.actor, row.reason, row.ticket) for row in logged} == {("alice", "new rack", "CHG-1")}
    assert logged[0].before is None
    assert logged[0].after == {"code": "bj1", "name": "北京", "attrs": {}}
    host: Document = logged[3].after or {}
    assert host["rack"] == "bj1/r1/a01"
    assert not any(word == "id" or word.endswith("_id") for row in logged for word in flat(row.after))


def test_rows_set_by_foreign_key_are_told_by_natural_keys_too(filled: Store) -> None:
    with filled.write(reason="build") as session:
        app = session.scalars(select(App.id)).one()
        session.add(Release(app_id=app, tag="v1", digest="sha256:" + "0" * 64))
    last = entries(filled)[-1]
    assert last.key == "demo:v1:sha256:" + "0" * 64
    assert (last.after or {})["app"] == "demo"


def test_an_update_has_before_and_after(filled: Store) -> None:
    seq = filled.declared_seq()
    with filled.write(reason="out of service") as session:
        host = session.scalars(select(Host).where(Host.name == "dk-01")).one()
        version = host.version
        host.state, host.rack = "provisioning", None
    [row] = entries(filled, seq)
    assert (row.before or {})["state"] == "planned"
    assert (row.before or {})["rack"] == "bj1/r1/a01"
    assert (row.after or {})["state"] == "provisioning"
    assert (row.after or {})["rack"] is None
    with filled.read() as session:
        assert session.scalars(select(Host.version).where(Host.name == "dk-01")).one() == version + 1


def test_a_deletion_keeps_what_was(filled: Store) -> None:
    seq = filled.declared_seq()
    with filled.write(reason="scrapped") as session:
        session.delete(session.scalars(select(Address).where(Address.address == "10.90.0.12")).one())
    [row] = entries(filled, seq)
    assert (row.action, row.after) == ("delete", None)
    assert (row.before or {})["host"] == "dk-02"


def test_nothing_changed_nothing_logged(filled: Store) -> None:
    seq = filled.declared_seq()
    with filled.write(reason="again") as session:
        for host in session.scalars(select(Host)):
            host.attrs = dict(host.attrs)
            host.state = "planned"
            host.rack = host.rack
            host.block_devices = list(host.block_devices)
        versions = {host.name: host.version for host in session.scalars(select(Host))}
    assert filled.declared_seq() == seq
    assert set(versions.values()) == {1}


def test_several_flushes_number_on(store: Store) -> None:
    with store.write(reason="two steps") as session:
        session.add(Idc(code="a"))
        session.flush()
        session.add(Idc(code="b"))
    assert [row.seq for row in entries(store)] == [1, 2]
    assert store.declared_seq() == 2


def test_a_failure_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write(reason="fails") as session:
        session.add(Idc(code="a"))
        session.flush()
        raise ZeroDivisionError
    assert store.declared_seq() == 0
    assert entries(store) == []


def test_declared_rows_are_not_written_without_a_reason(store: Store) -> None:
    with pytest.raises(RuntimeError, match="idc a"), store.operate() as session:
        session.add(Idc(code="a"))
    with pytest.raises(InvalidInputError, match="needs a reason"), store.write(reason=" "):
        pass


def test_bulk_writes_are_refused(filled: Store) -> None:
    with (
        pytest.raises(RuntimeError, match="of host would not be logged"),
        filled.write(reason="bulk") as session,
    ):
        session.execute(update(Host).values(role="lb"))


def test_writes_of_a_whole_table_are_refused(filled: Store) -> None:
    with (
        pytest.raises(RuntimeError, match="of idc would not be logged"),
        filled.write(reason="bulk") as session,
    ):
        session.execute(insert(Idc.__table__).values(code="x"))


def test_a_row_that_was_expired_is_logged_with_what_it_was(filled: Store) -> None:
    seq = filled.declared_seq()
    with filled.write(reason="blind") as session:
        host = session.scalars(select(Host).where(Host.name == "dk-01")).one()
        session.expire(host)
        host.state, host.rack = "provisioning", None
    [row] = entries(filled, seq)
    before: Document = row.before or {}
    assert (before["state"], before["rack"]) == ("planned", "bj1/r1/a01")


def test_one_moment_for_a_unit_of_several_flushes(store: Store) -> None:
    for unit in ("a", "b"):
        with store.write(reason=unit) as session:
            session.add(Idc(code=f"{unit}-1"))
            session.flush()
            session.add(Idc(code=f"{unit}-2"))
    logged = entries(store)
    assert [row.at for row in logged[:2]] == [logged[0].at] * 2
    assert [row.at for row in logged[2:]] == [logged[2].at] * 2
    assert logged[0].at < logged[2].at


def test_a_deletion_beside_a_rename_is_told_by_the_names_of_before(filled: Store) -> None:
    seq = filled.declared_seq()
    with filled.write(reason="swap") as session, session.no_autoflush:
        host = session.scalars(select(Host).where(Host.name == "dk-01")).one()
        session.delete(host.block_devices[0])
        host.block_devices[1].purpose = "raw"
        host.name = "dk-99"
    assert [(row.action, row.kind, row.key) for row in entries(filled, seq)] == [
        ("delete", "block_device", "dk-01:S-1"),
        ("update", "host", "dk-99"),
        ("update", "block_device", "dk-99:/dev/sdb"),
    ]


def test_a_reader_cannot_write(filled: Store) -> None:
    with pytest.raises(Exception, match="not writable"), filled.read() as session:
        session.execute(update(Sequence).values(value=0))


def test_operational_rows_are_not_logged(store: Store) -> None:
    with store.operate() as session:
        session.add(Outbox(subject="s", type="t", data={}))
    assert store.declared_seq() == 0


@pytest.mark.parametrize("statement", ["UPDATE change_log SET actor = 'x'", "DELETE FROM change_log"])
def test_the_log_is_append_only(filled: Store, statement: str) -> None:
    connection = sqlite3.connect(filled.url.removeprefix("sqlite:///"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_a_stale_row_is_refused(filled: Store) -> None:
    with filled.read() as session:
        stale = session.scalars(select(Host).where(Host.name == "dk-01")).one()
    with filled.write(reason="first") as session:
        session.scalars(select(Host).where(Host.name == "dk-01")).one().role = "lb"
    with pytest.raises(LockedError, match="somebody else"), filled.write(reason="second") as session:
        session.add(stale)
        stale.role = "infra"


def test_the_database_itself_refuses_an_address_outside_its_prefix(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match="inside_prefix"), filled.write(reason="wrong") as session:
        prefix = session.scalars(select(Prefix)).one()
        session.add(Address(address="10.91.0.1", prefix=prefix, host=Host(name="x", role="docker")))


def test_the_database_itself_refuses_unknown_rows(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match="FOREIGN KEY"), filled.write(reason="wrong") as session:
        session.add(Registry(name="r", host_id=4711))
        session.flush()


def test_integrity_errors_can_be_caught_inside(filled: Store) -> None:
    with filled.write(reason="savepoint") as session:
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(Idc(code="bj1"))
            session.flush()
        session.add(Idc(code="sh1"))
    assert entries(filled)[-1].key == "sh1"
