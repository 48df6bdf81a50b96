"""The CMDB at one moment as plain values: one query per table, frozen rows, no ORM objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from drcloud.cmdb import edge
from drcloud.cmdb.base import Document
from drcloud.cmdb.changelog import DECLARED
from drcloud.cmdb.declared import (
    PRIMARY,
    Address,
    Allocation,
    App,
    AppSpecVersion,
    BlockDevice,
    Bridge,
    Environment,
    HardwareModel,
    Host,
    HostKey,
    HostTag,
    Idc,
    Nic,
    Placement,
    PlacementHost,
    PlacementLb,
    Rack,
    RackSlot,
    Registry,
    Room,
    Tag,
    Vrf,
)
from drcloud.cmdb.edge import Edge
from drcloud.cmdb.ipam import SLOTS, port_owner, port_pool
from drcloud.cmdb.operational import Sequence
from drcloud.cmdb.selection import Reach, Selection, check
from drcloud.cmdb.store import Store

# Of a placement's attrs: true while its load balancers answer for it with a page.
MAINTENANCE = "maintenance"
# Which containers that somebody else started an app has already, by host.
TAKES_OVER = "takes_over"
# Of a placement's attrs: how much of its hosts a batch of a roll is, where that is no number of them.
BATCH_PERCENT = "batch_percent"
WHOLE = 100


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host; ``rack`` is the full path ``idc/room/rack``, None where the host stands nowhere."""

    name: str
    role: str
    state: str
    idc: str | None
    room: str | None
    rack: str | None
    address: str | None
    ssh_user: str
    ssh_port: int
    ssh_via: str | None
    serial: str | None
    asset_tag: str | None
    attrs: Document
    block_devices: tuple[Document, ...]
    model: str | None = None
    # The lowest unit of the rack that the host takes, counted from 1 at the bottom.
    rack_unit: int | None = None
    tags: tuple[str, ...] = ()
    addresses: tuple[Document, ...] = ()
    bridges: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class HostKeyRow:
    """A pinned SSH host key."""

    host: str
    type: str
    key: str


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """A registry; ``password`` and ``ca`` are references, resolved on the controller only."""

    name: str
    endpoint: str
    username: str | None
    password: str | None
    ca: str | None
    # The host that runs it, where it is one of the CMDB, and the port that it listens on there.
    host: str | None = None
    port: int = 5000


@dataclass(frozen=True, slots=True)
class AppRow:
    """An app and its present specification."""

    name: str
    registry: str
    spec_version: int
    spec: Document


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """Where an app runs in an environment; ``ports["dk-01"]["a"]`` is the port of a slot.

    In ``maintenance``, its load balancers answer for it with a page. ``takes_over`` names what it has on
    hosts that somebody else started, until a deploy takes its place. A ``batch_percent`` takes the place of
    ``batch``.
    """

    app: str
    env: str
    min_in_service: int
    batch: int
    lb_port: int | None
    hosts: tuple[str, ...]
    lbs: tuple[str, ...]
    ports: dict[str, dict[str, int]]
    maintenance: bool = False
    takes_over: dict[str, str] = field(default_factory=dict)
    batch_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything declared that inventory, delivery and compliance read, as of ``seq``.

    Of a selection, ``others`` are hosts that were not selected but that the selected ones cannot do
    without: bastions on the way to them, members of their pools.
    """

    seq: int
    hosts: tuple[HostRow, ...]
    host_keys: tuple[HostKeyRow, ...]
    registries: tuple[RegistryRow, ...]
    apps: tuple[AppRow, ...]
    placements: tuple[PlacementRow, ...]
    environments: tuple[str, ...]
    others: tuple[HostRow, ...] = ()
    # How many hosts there are at all; counted only where none was selected.
    unselected: int = 0
    edge: Edge = field(default_factory=Edge)


# What is told of a disk and of a bridge.
DISK = ("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app")
BRIDGE = ("name", "mode", "nic", "containers", "length", "mtu", "ipv6")
# What costs a query or a large column of its own, and can be left out.
PARTS = frozenset(
    {"addresses", "attrs", "block_devices", "bridges", "host_keys", "lb_pools", "model", "rack_unit", "vips"}
)


def read(store: Store, selection: Selection | None = None, parts: frozenset[str] = PARTS) -> Snapshot:
    """Read the CMDB in one consistent view: all of it, or what belongs to the selected hosts."""
    with store.read() as session:
        return load(session, selection, parts)


def load(session: Session, selection: Selection | None = None, parts: frozenset[str] = PARTS) -> Snapshot:
    """Read in a view that is open already; NotFoundError names a value of the selection that is unknown."""
    if selection is not None:
        check(session, selection)
    reach = None if selection is None else Reach(selection)
    hosts, others = _hosts(session, reach, parts)
    return Snapshot(
        seq=session.scalars(select(Sequence.value).where(Sequence.name == DECLARED)).one(),
        hosts=hosts,
        others=others,
        unselected=0 if hosts else session.scalars(select(func.count()).select_from(Host)).one(),
        host_keys=_host_keys(session, reach) if "host_keys" in parts else (),
        registries=_registries(session),
        apps=_apps(session),
        placements=_placements(session, reach),
        environments=tuple(session.scalars(select(Environment.name).order_by(Environment.id))),
        edge=edge.load(session, vips="vips" in parts, pools="lb_pools" in parts),
    )


def _hosts(
    session: Session, reach: Reach | None, parts: frozenset[str]
) -> tuple[tuple[HostRow, ...], tuple[HostRow, ...]]:
    """Return the selected hosts and the others that belong to them."""
    query = _host_query(parts)
    if reach is not None:
        query = query.add_columns(reach.selected().label("selected")).where(reach.wanted())
    around = {name: read(session, reach) for name, read in AROUND.items() if name not in PARTS - parts}
    selected: list[HostRow] = []
    others: list[HostRow] = []
    for row in session.execute(query):
        values = row._asdict()
        rows = selected if values.pop("selected", True) else others
        rows.append(_host(values, around))
    return tuple(selected), tuple(others)


def _host_query(parts: frozenset[str]) -> Select[*tuple[Any, ...]]:
    via = aliased(Host)
    query = (
        select(
            Host.id,
            Host.name,
            Host.role,
            Host.state,
            Idc.code.label("idc"),
            Room.code.label("room"),
            Rack.code.label("rack"),
            Address.address,
            Host.ssh_user,
            Host.ssh_port,
            via.name.label("ssh_via"),
            Host.serial,
            Host.asset_tag,
        )
        .outerjoin(Rack, Rack.id == Host.rack_id)
        .outerjoin(Room, Room.id == Rack.room_id)
        .outerjoin(Idc, Idc.id == Room.idc_id)
        .outerjoin(Address, _primary(Host.id))
        .outerjoin(via, via.id == Host.ssh_via_id)
        .order_by(Host.name)
    )
    if "attrs" in parts:
        query = query.add_columns(Host.attrs)
    if "model" in parts:
        query = query.add_columns(HardwareModel.name.label("model")).outerjoin(Host.model)
    return query


def _primary(host_id: Any) -> ColumnElement[bool]:
    return and_(Address.host_id == host_id, Address.purpose == PRIMARY)


def _host(values: dict[str, Any], around: Mapping[str, Mapping[int, Any]]) -> HostRow:
    row_id = values.pop("id")
    if values["rack"] is not None:
        values["rack"] = f"{values['idc']}/{values['room']}/{values['rack']}"
    for name, found in around.items():
        if row_id in found:
            values[name] = found[row_id]
    values.setdefault("attrs", {})
    values.setdefault("block_devices", ())
    return HostRow(**values)


def _by_host(
    session: Session, reach: Reach | None, owner: Any, query: Select[*tuple[Any, ...]]
) -> dict[int, tuple[Any, ...]]:
    """Return the rows of a query by the host in its first column; of the selected hosts only."""
    if reach is not None:
        query = query.where(owner.in_(reach.hosts))
    found = defaultdict(list)
    for host_id, *values in session.execute(query):
        found[host_id].append(values)
    return {host_id: tuple(rows) for host_id, rows in found.items()}


def _block_devices(session: Session, reach: Reach | None) -> dict[int, tuple[Document, ...]]:
    columns = [App.name if name == "app" else getattr(BlockDevice, name) for name in DISK]
    query = select(BlockDevice.host_id, *columns).outerjoin(BlockDevice.app)
    found = _documents(DISK, _by_host(session, reach, BlockDevice.host_id, query))
    return {host_id: in_order(disks) for host_id, disks in found.items()}


def in_order(disks: Iterable[Document]) -> tuple[Document, ...]:
    """Return disks in an order that follows from them alone, so that the past has it too."""
    return tuple(sorted(disks, key=lambda disk: [disk[name] or "" for name in ("path", "serial", "wwn")]))


def _bridges(session: Session, reach: Reach | None) -> dict[int, tuple[Document, ...]]:
    columns = [getattr(Bridge, name) for name in BRIDGE]
    query = select(Bridge.host_id, *columns).order_by(Bridge.host_id, Bridge.name)
    return _documents(BRIDGE, _by_host(session, reach, Bridge.host_id, query))


def _addresses(session: Session, reach: Reach | None) -> dict[int, tuple[Document, ...]]:
    names = ("address", "purpose", "nic", "vrf")
    query = select(Address.host_id, Address.address, Address.purpose, Nic.name, Vrf.name)
    query = query.outerjoin(Address.nic).outerjoin(Address.vrf).where(Address.host_id.is_not(None))
    query = query.order_by(Address.value, Address.id)
    return _documents(names, _by_host(session, reach, Address.host_id, query))


def _documents(
    names: tuple[str, ...], found: Mapping[int, tuple[Any, ...]]
) -> dict[int, tuple[Document, ...]]:
    return {
        host_id: tuple(dict(zip(names, values, strict=True)) for values in rows)
        for host_id, rows in found.items()
    }


def _tags(session: Session, reach: Reach | None) -> dict[int, tuple[str, ...]]:
    query = select(HostTag.host_id, Tag.name).join(HostTag.tag).order_by(Tag.name)
    found = _by_host(session, reach, HostTag.host_id, query)
    return {host_id: tuple(name for [name] in rows) for host_id, rows in found.items()}


def _rack_units(session: Session, reach: Reach | None) -> dict[int, int]:
    query = select(RackSlot.host_id, func.min(RackSlot.unit)).group_by(RackSlot.host_id)
    found = _by_host(session, reach, RackSlot.host_id, query)
    return {host_id: unit for host_id, [[unit]] in found.items()}


# What stands in tables of its own around a host: one query each.
AROUND: dict[str, Callable[[Session, Reach | None], Mapping[int, Any]]] = {
    "addresses": _addresses,
    "block_devices": _block_devices,
    "bridges": _bridges,
    "rack_unit": _rack_units,
    "tags": _tags,
}


def _host_keys(session: Session, reach: Reach | None) -> tuple[HostKeyRow, ...]:
    columns = (Host.name, HostKey.type, HostKey.key)
    query = select(*columns).join(HostKey.host).order_by(Host.name, HostKey.type)
    if reach is not None:
        query = query.where(reach.wanted())
    return tuple(HostKeyRow(*row) for row in session.execute(query))


def _registries(session: Session) -> tuple[RegistryRow, ...]:
    rows = session.execute(
        select(Registry, Address.address, Host.name)
        .outerjoin(Registry.host)
        .outerjoin(Host.address)
        .order_by(Registry.name)
    )
    return tuple(
        RegistryRow(
            name=row.name,
            endpoint=row.endpoint or f"{address}:{row.port}",
            username=row.username,
            password=row.password,
            ca=row.ca,
            host=host,
            port=row.port,
        )
        for row, address, host in rows
    )


def _apps(session: Session) -> tuple[AppRow, ...]:
    columns = (App.name, Registry.name, App.spec_version, AppSpecVersion.document)
    present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
    rows = session.execute(
        select(*columns).join(App.image_registry).join(AppSpecVersion, present).order_by(App.name)
    )
    return tuple(AppRow(*row) for row in rows)


def _placements(session: Session, reach: Reach | None) -> tuple[PlacementRow, ...]:
    columns = (
        Placement.id,
        App.name,
        Environment.name,
        Placement.min_in_service,
        Placement.batch,
        Placement.lb_port,
        Placement.attrs,
    )
    query = select(*columns).join(Placement.app).join(Placement.environment)
    if reach is not None:
        query = query.where(reach.placements())
    rows = session.execute(query.order_by(App.name, Environment.name)).all()
    members = _names(session, PlacementHost, None if reach is None else reach.placed())
    lbs = _names(session, PlacementLb, None if reach is None else PlacementLb.host_id.in_(reach.hosts))
    ports = _ports(session, reach)
    return tuple(
        PlacementRow(
            app=app,
            env=env,
            min_in_service=min_in_service,
            batch=batch,
            lb_port=lb_port,
            hosts=members.get(row_id, ()),
            lbs=lbs.get(row_id, ()),
            ports={host: _slots(ports, host, app, env) for host in members.get(row_id, ())},
            maintenance=attrs.get(MAINTENANCE) is True,
            takes_over=dict(attrs.get(TAKES_OVER) or {}),
            batch_percent=batch_percent(attrs),
        )
        for row_id, app, env, min_in_service, batch, lb_port, attrs in rows
    )


def batch_percent(attrs: Document) -> int | None:
    """Return the share of a placement's hosts that a batch is; None where it is a number of them."""
    value = attrs.get(BATCH_PERCENT)
    return value if type(value) is int and 1 <= value <= WHOLE else None


def _names(
    session: Session, model: type[PlacementHost] | type[PlacementLb], only: ColumnElement[bool] | None
) -> dict[int, tuple[str, ...]]:
    query = select(model.placement_id, Host.name).join(Host, Host.id == model.host_id)
    if only is not None:
        query = query.where(only)
    names = defaultdict(list)
    for placement_id, name in session.execute(query.order_by(model.placement_id, model.position)):
        names[placement_id].append(name)
    return {placement_id: tuple(found) for placement_id, found in names.items()}


def _ports(session: Session, reach: Reach | None) -> dict[tuple[str, str], int]:
    query = select(Allocation.pool, Allocation.owner, Allocation.value)
    if reach is None:
        query = query.where(Allocation.pool.startswith("ports:", autoescape=True))
    else:
        query = query.where(Allocation.pool.in_(reach.port_pools()))
    return {(pool, owner): value for pool, owner, value in session.execute(query)}


def _slots(ports: dict[tuple[str, str], int], host: str, app: str, env: str) -> dict[str, int]:
    found = {slot: ports.get((port_pool(host), port_owner(app, env, slot))) for slot in SLOTS}
    return {slot: port for slot, port in found.items() if port is not None}
