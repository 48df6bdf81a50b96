"""The CMDB at one moment as plain values: one query per table, frozen rows, no ORM objects."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session, aliased

from drcloud.cmdb.base import Document
from drcloud.cmdb.changelog import DECLARED
from drcloud.cmdb.declared import (
    Address,
    Allocation,
    App,
    AppSpecVersion,
    BlockDevice,
    Environment,
    Host,
    HostKey,
    Idc,
    Placement,
    PlacementHost,
    PlacementLb,
    Rack,
    Registry,
    Room,
)
from drcloud.cmdb.ipam import SLOTS, port_owner, port_pool
from drcloud.cmdb.operational import Sequence
from drcloud.cmdb.store import Store


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


@dataclass(frozen=True, slots=True)
class AppRow:
    """An app and its present specification."""

    name: str
    registry: str
    spec_version: int
    spec: Document


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """Where an app runs in an environment; ``ports["dk-01"]["a"]`` is the port of a slot."""

    app: str
    env: str
    min_in_service: int
    batch: int
    lb_port: int | None
    hosts: tuple[str, ...]
    lbs: tuple[str, ...]
    ports: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything declared that inventory, delivery and compliance read, as of ``seq``."""

    seq: int
    hosts: tuple[HostRow, ...]
    host_keys: tuple[HostKeyRow, ...]
    registries: tuple[RegistryRow, ...]
    apps: tuple[AppRow, ...]
    placements: tuple[PlacementRow, ...]
    environments: tuple[str, ...]


def read(store: Store) -> Snapshot:
    """Read the CMDB in one consistent view."""
    with store.read() as session:
        return Snapshot(
            seq=session.scalars(select(Sequence.value).where(Sequence.name == DECLARED)).one(),
            hosts=_hosts(session),
            host_keys=_host_keys(session),
            registries=_registries(session),
            apps=_apps(session),
            placements=_placements(session),
            environments=tuple(session.scalars(select(Environment.name).order_by(Environment.id))),
        )


def _hosts(session: Session) -> tuple[HostRow, ...]:
    via = aliased(Host)
    rows = session.execute(
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
            Host.attrs,
        )
        .outerjoin(Rack, Rack.id == Host.rack_id)
        .outerjoin(Room, Room.id == Rack.room_id)
        .outerjoin(Idc, Idc.id == Room.idc_id)
        .outerjoin(Address, Address.host_id == Host.id)
        .outerjoin(via, via.id == Host.ssh_via_id)
        .order_by(Host.name)
    )
    disks = _block_devices(session)
    return tuple(_host(row, disks) for row in rows)


def _host(row: Row[*tuple[Any, ...]], disks: dict[int, list[Document]]) -> HostRow:
    values = row._asdict()
    row_id = values.pop("id")
    if values["rack"] is not None:
        values["rack"] = f"{row.idc}/{row.room}/{row.rack}"
    return HostRow(**values, block_devices=tuple(disks.get(row_id, ())))


def _block_devices(session: Session) -> dict[int, list[Document]]:
    disks = defaultdict(list)
    columns = (BlockDevice.path, BlockDevice.serial, BlockDevice.wwn, BlockDevice.purpose)
    for host_id, *values in session.execute(select(BlockDevice.host_id, *columns).order_by(BlockDevice.id)):
        disks[host_id].append(dict(zip(("path", "serial", "wwn", "purpose"), values, strict=True)))
    return disks


def _host_keys(session: Session) -> tuple[HostKeyRow, ...]:
    columns = (Host.name, HostKey.type, HostKey.key)
    rows = session.execute(select(*columns).join(HostKey.host).order_by(Host.name, HostKey.type))
    return tuple(HostKeyRow(*row) for row in rows)


def _registries(session: Session) -> tuple[RegistryRow, ...]:
    rows = session.execute(
        select(Registry, Address.address)
        .outerjoin(Address, Address.host_id == Registry.host_id)
        .order_by(Registry.name)
    )
    return tuple(
        RegistryRow(
            name=row.name,
            endpoint=row.endpoint or f"{address}:{row.port}",
            username=row.username,
            password=row.password,
            ca=row.ca,
        )
        for row, address in rows
    )


def _apps(session: Session) -> tuple[AppRow, ...]:
    columns = (App.name, Registry.name, App.spec_version, AppSpecVersion.document)
    present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
    rows = session.execute(
        select(*columns).join(App.image_registry).join(AppSpecVersion, present).order_by(App.name)
    )
    return tuple(AppRow(*row) for row in rows)


def _placements(session: Session) -> tuple[PlacementRow, ...]:
    columns = (
        Placement.id,
        App.name,
        Environment.name,
        Placement.min_in_service,
        Placement.batch,
        Placement.lb_port,
    )
    rows = session.execute(
        select(*columns).join(Placement.app).join(Placement.environment).order_by(App.name, Environment.name)
    ).all()
    members = _names(session, PlacementHost)
    lbs = _names(session, PlacementLb)
    ports = _ports(session)
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
        )
        for row_id, app, env, min_in_service, batch, lb_port in rows
    )


def _names(session: Session, model: type[PlacementHost] | type[PlacementLb]) -> dict[int, tuple[str, ...]]:
    rows = session.execute(
        select(model.placement_id, Host.name)
        .join(Host, Host.id == model.host_id)
        .order_by(model.placement_id, model.position)
    )
    names = defaultdict(list)
    for placement_id, name in rows:
        names[placement_id].append(name)
    return {placement_id: tuple(found) for placement_id, found in names.items()}


def _ports(session: Session) -> dict[tuple[str, str], int]:
    rows = session.execute(
        select(Allocation.pool, Allocation.owner, Allocation.value).where(
            Allocation.pool.startswith("ports:", autoescape=True)
        )
    )
    return {(pool, owner): value for pool, owner, value in rows}


def _slots(ports: dict[tuple[str, str], int], host: str, app: str, env: str) -> dict[str, int]:
    found = {slot: ports.get((port_pool(host), port_owner(app, env, slot))) for slot in SLOTS}
    return {slot: port for slot, port in found.items() if port is not None}
