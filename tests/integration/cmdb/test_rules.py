"""The rules of the database itself, on both engines, for whoever writes past the program."""

from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from drcloud.cmdb import changes, exporter, hosts, importer, lookup
from drcloud.cmdb import state as states
from drcloud.cmdb.base import Declared
from drcloud.cmdb.declared import CHANGE_STATES, HOST_STATES, Rack, RackSlot
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, LockedError

WHOLE = Path(__file__).parents[2] / "unit/cmdb/data/whole.yml"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a CMDB with something of everything; refused writes leave it as it is."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('rules')}/cmdb.sqlite3"
    else:
        server, name = request.getfixturevalue("postgresql"), f"rules_{uuid.uuid4().hex}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        url = f"{server}/{name}"
    store = Store.create(url)
    importer.import_files(store, importer.Request((WHOLE,)))
    _deployed(store)
    return store


def _deployed(store: Store) -> None:
    with store.operate() as session:
        session.execute(
            text(
                "INSERT INTO deployment (uid, app_id, environment_id, tag, digest, revision, spec_version, "
                "config_version, plan, state, reason, actor, started_at) "
                "SELECT 'd', app.id, environment.id, 't', 'x', 'r', 1, 0, app.attrs, 'running', '', 'x', "
                "app.created_at FROM app, environment "
                "WHERE app.name = 'demo' AND environment.name = 'prod'"
            )
        )


def host(name: str) -> str:
    return f"(SELECT id FROM host WHERE name = '{name}')"


def rack(code: str) -> str:
    return f"(SELECT id FROM rack WHERE code = '{code}')"


def vrf() -> str:
    return "(SELECT id FROM vrf WHERE name = 'oob')"


def prefix(cidr: str, where: str = "vrf_id IS NULL") -> str:
    return f"(SELECT id FROM prefix WHERE cidr = '{cidr}' AND {where})"


def copied(table: str, where: str = "true", **columns: str) -> str:
    """Return an INSERT of a copy of the first row that meets a condition, with some other columns."""
    known = [column.name for column in kinds()[table].model.__table__.columns if column.name != "id"]
    values = {"uid": f"'{uuid.uuid4()}'", **columns}
    source = f"(SELECT * FROM {table} WHERE {where} ORDER BY id LIMIT 1) AS one"
    chosen = ", ".join(values.get(name, name) for name in known)
    return f"INSERT INTO {table} ({', '.join(known)}) SELECT {chosen} FROM {source}"


def bounds(version: int, first: str, last: str) -> dict[str, str]:
    return {"first": f"'{version}:{first:0>32}'", "last": f"'{version}:{last:0>32}'"}


HALF = {"cidr": "'10.90.0.128/25'", **bounds(4, "0a5a0080", "0a5a00ff")}
WIDE = {"cidr": "'10.88.0.0/14'", **bounds(4, "0a580000", "0a5bffff")}
LEAF = "cidr = '10.90.1.0/24'"
IN_VRF = "vrf_id IS NOT NULL"
FREE = {"value": "'4:0000000000000000000000000a5a00fe'", "address": "'10.90.0.254'", "purpose": "'x'"}
SERVED = "address = '10.90.0.11' AND vrf_id IS NULL"
REFUSED = {
    "a unit twice": (copied("rack_slot", "unit = 12", host_id=host("dk-02")), "the unit is taken"),
    "a host in two racks": (copied("rack_slot", "unit = 12", rack_id=rack("a02")), "rack its host stands in"),
    "a unit above the rack": (copied("rack_slot", "unit = 12", unit="43"), "rack its host stands in"),
    "a unit below the rack": (copied("rack_slot", "unit = 12", unit="0"), "ck_rack_slot_unit"),
    "a slot to another rack": (f"UPDATE rack_slot SET rack_id = {rack('a02')} WHERE unit = 12", "stands in"),
    "a host away from its units": (
        f"UPDATE host SET rack_id = {rack('a02')} WHERE name = 'dk-01'",
        "cannot move to another rack: free its units first",
    ),
    "a host out of its rack": ("UPDATE host SET rack_id = NULL WHERE name = 'dk-01'", "free its units first"),
    "a lower rack": ("UPDATE rack SET units = 16 WHERE code = 'a01'", "cannot be lower"),
    "a rack of no height": ("UPDATE rack SET units = 0 WHERE code = 'a02'", "ck_rack_units|cannot be lower"),
    "a prefix inside": (copied("prefix", LEAF, **HALF), "no aggregate: make the outer one an aggregate"),
    "an aggregate inside": (copied("prefix", LEAF, **HALF, aggregate="true"), "inside of another one"),
    "a prefix inside of a VRF": (copied("prefix", IN_VRF, **HALF), "inside of another one"),
    "a prefix around": (copied("prefix", LEAF, **WIDE), "inside of another one"),
    "an aggregate no more": (
        "UPDATE prefix SET aggregate = false WHERE cidr = '10.0.0.0/8'",
        "of another one",
    ),
    "a prefix moved into another": (
        "UPDATE prefix SET first = '4:0000000000000000000000000a5a0000' WHERE cidr = '10.90.1.0/24'",
        "inside of another one",
    ),
    "a prefix into another VRF": (
        f"UPDATE prefix SET vrf_id = {vrf()} WHERE cidr = '10.90.1.0/24'",
        "cannot move to another VRF",
    ),
    "a prefix twice": (copied("prefix", "aggregate"), "a VRF has a prefix only once"),
    "a prefix twice in a VRF": (copied("prefix", IN_VRF, aggregate="true"), "only once|inside of another"),
    "an address twice": (copied("address", SERVED, purpose="'x'"), "a VRF has an address only once"),
    "an address twice in a VRF": (copied("address", IN_VRF, purpose="'x'"), "a VRF has an address only once"),
    "a second management address": (
        copied("address", SERVED, **{**FREE, "purpose": "'management'"}),
        "a host has one management address",
    ),
    "an address outside": (
        copied("address", SERVED, value="'4:0000000000000000000000000a5a0100'", address="'10.90.1.0'"),
        "lies outside of its prefix",
    ),
    "an address in the wrong VRF": (copied("address", SERVED, **FREE, vrf_id=vrf()), "VRF of its prefix"),
    "a nic of another host": (copied("address", SERVED, **FREE, host_id=host("dk-02")), "one of its host"),
    "a nic without a host": (copied("address", SERVED, **FREE, host_id="NULL"), "needs its host"),
    "a MAC twice": (copied("nic", "mac IS NOT NULL", name="'eth9'"), "another nic has the same mac"),
    "a nic twice": (copied("nic", "mac IS NULL"), "another nic has the same host and name"),
    "a VLAN number": ("UPDATE vlan SET vid = 4095 WHERE vid = 100", "ck_vlan_vid"),
    "a VLAN twice": (copied("vlan", "vid = 100"), "another vlan has the same idc and vid"),
    "a second BMC": (copied("bmc", "type = 'ipmi'"), "another bmc has the same"),
    "a BMC of another type": ("UPDATE bmc SET type = 'telnet'", "ck_bmc_type"),
    "a VIP's address twice": (copied("vip", name="'other'"), "another vip has the same address"),
    "a port of a VIP twice": (copied("lb_pool", "port = 443", name="'other'"), "same vip and port"),
    "a fingerprint twice": (copied("certificate", name="'other'"), "the same fingerprint"),
    "a host's state": (
        "UPDATE host SET state = 'planned' WHERE name = 'dk-01'",
        "cannot move like this",
    ),
    "a closed change": (
        copied("change", "ticket = 'CHG-1'", ticket="'x'", state="'done'"),
        "ck_change_state",
    ),
    "half a window": (
        "UPDATE change SET window_end = NULL WHERE ticket = 'CHG-1'",
        "a later end, or neither",
    ),
    "a window backwards": (
        "UPDATE change SET window_end = window_start WHERE ticket = 'CHG-1'",
        "a later end, or neither",
    ),
    "a waiver without a reason": ("UPDATE waiver SET reason = ''", "owner, a reason and a ticket"),
    "a waiver for ever": ("UPDATE waiver SET expires_at = NULL", "a value is missing"),
    "a specification": ("UPDATE app_spec_version SET number = 9 WHERE number = 3", "add the next version"),
    "a specification that ran": ("DELETE FROM app_spec_version WHERE number = 1", "was deployed are kept"),
    "a configuration": ("UPDATE app_config SET document = attrs", "is never changed: add the next version"),
    "a configuration that ran": ("DELETE FROM app_config WHERE number = 2", "was deployed are kept"),
    "a release's digest": ("UPDATE release SET digest = 'sha256:c'", "never changed: record another release"),
    "a tag twice": (copied("host_tag"), "another host tag has the same host and tag"),
    "a mount of another disk": (
        "UPDATE block_device SET mount = '/srv/a' WHERE path = '/dev/sdb'",
        "only an app-volume is mounted where the CMDB says",
    ),
    "a relative mount": ("UPDATE block_device SET mount = 'srv' WHERE path = '/dev/sdd'", "an absolute path"),
    "a mount twice": (
        "UPDATE block_device SET mount = '/srv/redis' WHERE path = '/dev/sdd'",
        "not mounted in one place",
    ),
    "a file system twice": (
        "UPDATE block_device SET uuid = '0b9f8f2e-6a3c-4b0a-9d52-3f1c3c0a7c11' WHERE path = '/dev/sdd'",
        "a UUID names one disk of a host",
    ),
    "a file system of another type": (
        "UPDATE block_device SET filesystem = 'zfs'",
        "block_device_filesystem",
    ),
    "a disk's unknown app": ("UPDATE block_device SET app_id = 99", "what does not exist"),
    "a bridge twice": (copied("bridge", "name = 'apps.1'"), "another bridge has the same host and name"),
    "a bridge of another mode": (
        "UPDATE bridge SET mode = 'overlay', containers = '10.0.0.0/8' WHERE nic IS NULL",
        "ck_bridge_mode",
    ),
    "an uplink without a nic": ("UPDATE bridge SET nic = NULL", "takes over a nic"),
    "a nic of nat": ("UPDATE bridge SET nic = 'eth9' WHERE mode = 'nat'", "takes over a nic"),
    "an uplink without addresses": ("UPDATE bridge SET containers = NULL", "the aggregate of its containers"),
    "a nic in two bridges": (copied("bridge", "nic = 'bond0'", name="'br1'"), "belongs to one bridge"),
    "a bridge without a name": ("UPDATE bridge SET name = '' WHERE nic IS NULL", "ck_bridge_name"),
    "an MTU": ("UPDATE bridge SET mtu = 67", "ck_bridge_mtu"),
    "a length": ("UPDATE bridge SET length = 0", "ck_bridge_length"),
    "a balancer of a VIP twice": (copied("vip_lb"), "another vip lb has the same vip and host"),
    "a VIP on another host": (f"UPDATE vip_lb SET host_id = {host('dk-01')}", "of the role lb: name a host"),
    "a VIP's balancer with another role": (
        "UPDATE host SET role = 'docker' WHERE name = 'lb-02'",
        "keeps the role lb: take it out of the VIP first",
    ),
    "a certificate's unknown host": ("UPDATE certificate SET host_id = 99", "what does not exist"),
    "a host that is used": ("DELETE FROM rack WHERE code = 'a01'", "something still refers to it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_database_refuses(whole: Store, name: str) -> None:
    statement, sentence = REFUSED[name]
    with pytest.raises(InvalidInputError, match=sentence) as caught, whole.operate() as session:
        session.execute(text(statement))
    assert str(caught.value).startswith("the CMDB refuses the write: ")
    assert "\n" not in str(caught.value)


def test_what_only_looks_like_it(whole: Store) -> None:
    """The same prefix in another VRF, an aggregate around all, and a further address are no clash."""
    allowed = (
        copied("prefix", LEAF, vrf_id=vrf()),
        copied("prefix", "aggregate", cidr="'0.0.0.0/0'", **bounds(4, "0", "ffffffff")),
        copied("address", SERVED, **FREE),
        "UPDATE rack SET units = 17 WHERE code = 'a01'",
        copied("rack_slot", "unit = 12", unit="15"),
        "UPDATE release SET git_ref = 'v2'",
        "UPDATE prefix SET aggregate = true WHERE cidr = '10.90.1.0/24'",
    )
    with whole.operate() as session:
        for statement in allowed:
            session.execute(text(statement))
        session.rollback()


@pytest.mark.parametrize(
    ("table", "key", "states", "moves"),
    [("host", "name", HOST_STATES, hosts.MOVES), ("change", "ticket", CHANGE_STATES, changes.MOVES)],
)
def test_states_move_as_the_program_says(
    whole: Store, table: str, key: str, states: tuple[str, ...], moves: dict[str, frozenset[str]]
) -> None:
    fresh = {"serial": "NULL", "asset_tag": "NULL"} if table == "host" else {}
    for start, end in itertools.product(states, states):
        allowed = True
        try:
            with whole.operate() as session:
                session.execute(text(copied(table, **fresh, **{key: "'moved'"}, state=f"'{start}'")))
                session.execute(text(f"UPDATE {table} SET state = '{end}' WHERE {key} = 'moved'"))
                session.rollback()
        except InvalidInputError:
            allowed = False
        assert allowed == (start == end or end in moves[start]), f"{table}: {start} to {end}"


def test_the_migration_knows_the_moves_of_the_program() -> None:
    from drcloud.cmdb.migrations.versions import v0002_source_of_truth as migration

    for frozen, moves in ((migration.HOST_MOVES, hosts.MOVES), (migration.CHANGE_MOVES, changes.MOVES)):
        assert {start: frozenset(ends) for start, ends in frozen.items()} == {
            start: ends for start, ends in moves.items() if ends
        }


def test_every_guard_has_a_way_out() -> None:
    from drcloud.cmdb import rules
    from drcloud.cmdb.migrations.versions import v0002_source_of_truth, v0003_docker_hosts

    guards = {**v0002_source_of_truth.MESSAGES, **v0003_docker_hosts.MESSAGES}
    assert rules.WAYS_OUT.keys() == guards.keys()


def test_a_refused_write_names_its_object(whole: Store) -> None:
    with (
        pytest.raises(InvalidInputError, match=r"refuses the write of rack slot bj1/r1/a01/12: .* is taken"),
        whole.write(reason="x") as session,
    ):
        place = session.scalars(select(Rack).where(Rack.code == "a01")).one()
        session.add(RackSlot(rack=place, unit=12, host=lookup.host(session, "dk-02")))
    with (
        pytest.raises(InvalidInputError, match="refuses the write of host dk-01: the state of a host cannot"),
        whole.write(reason="x") as session,
    ):
        lookup.host(session, "dk-01").state = "retired"


def test_a_stale_write_names_its_object(whole: Store) -> None:
    with whole.read() as session:
        stale = lookup.host(session, "lb-01")
    with whole.write(reason="first") as session:
        lookup.host(session, "lb-01").attrs = {"n": uuid.uuid4().hex}
    with (
        pytest.raises(LockedError, match="somebody else changed host lb-01"),
        whole.write(reason="x") as session,
    ):
        session.add(stale)
        lookup.host(session, "dk-02").role = "docker"
        stale.role = "infra"


def test_every_declared_row_has_uid_version_and_times(whole: Store) -> None:
    with whole.read() as session:
        for kind in kinds().values():
            row = session.scalars(select(kind.model).limit(1)).one()
            assert isinstance(row, Declared), kind.name
            assert (len(row.uid), row.version >= 1) == (36, True)
            assert row.created_at.utcoffset() is not None
            assert row.created_at <= row.updated_at


def test_deleting_a_host_takes_its_parts(whole: Store) -> None:
    """Also where it has addresses, units, ports, a BMC and tags; nothing is left without a host."""
    with whole.write(reason="gone") as session:
        session.delete(lookup.host(session, "spare-01"))
        session.flush()
        counts = [
            session.scalars(text(f"SELECT count(*) FROM {table} WHERE host_id IS NULL")).one()
            for table in ("address", "nic", "bmc", "rack_slot", "host_tag")
        ]
        session.rollback()
    assert counts == [3, 0, 0, 0, 0]


def test_two_that_write_overlapping_prefixes_at_once(whole: Store) -> None:
    """The second waits for the first and sees what it wrote, also past the unit of work."""
    outer = {"cidr": "'172.16.0.0/16'", **bounds(4, "ac100000", "ac10ffff")}
    inner = {"cidr": "'172.16.5.0/24'", **bounds(4, "ac100500", "ac1005ff")}
    with ThreadPoolExecutor() as pool:
        with whole.operate() as session:
            session.execute(text(copied("prefix", LEAF, **outer)))
            second = pool.submit(_write, whole, copied("prefix", LEAF, **inner))
            assert not wait([second], timeout=0.5).done
        with pytest.raises(InvalidInputError, match="make the outer one an aggregate"):
            second.result(60)


def _write(store: Store, statement: str) -> None:
    with store.operate() as session:
        session.execute(text(statement))


def test_what_went_in_comes_out_on_another_engine(whole: Store, tmp_path: Path) -> None:
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(whole), encoding="utf-8")
    other = Store.create(f"sqlite:///{tmp_path}/other.sqlite3")
    importer.import_files(other, importer.Request((path,)))
    with whole.read() as one, other.read() as two:
        assert states.load(one).documents == states.load(two).documents
