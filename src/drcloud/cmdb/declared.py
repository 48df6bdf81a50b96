"""Declared tables: what should be. Versioned rows; every write stands in ``change_log``."""

from __future__ import annotations

import ipaddress

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from drcloud.cmdb.base import Base, Declared, Document, JsonDocument, Natural, RowId

HOST_STATES = ("planned", "provisioning", "active", "maintenance", "quarantined", "retired")
DISK_PURPOSES = ("docker-data", "app-volume", "raw", "spare")
TIERS = ("frontend", "backend", "component", "database")


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the SQL of a check that a column holds one of the values."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def fixed_width(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as text whose order is the order of addresses."""
    return f"{address.version}:{int(address):032x}"


class Idc(Declared, Base):
    """A data centre."""

    __tablename__ = "idc"
    natural = Natural(("code",))
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(255), default="")
    rooms: Mapped[list[Room]] = relationship(back_populates="idc", order_by="Room.code")


class Room(Declared, Base):
    """A room of an IDC: a failure domain of power and cooling."""

    __tablename__ = "room"
    natural = Natural(("idc", "code"))
    __table_args__ = (UniqueConstraint("idc_id", "code"),)
    idc_id: Mapped[int] = mapped_column(ForeignKey("idc.id"))
    code: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(255), default="")
    idc: Mapped[Idc] = relationship(back_populates="rooms")
    racks: Mapped[list[Rack]] = relationship(back_populates="room", order_by="Rack.code")


class Rack(Declared, Base):
    """A rack of a room: a failure domain of power strips and the top switch."""

    __tablename__ = "rack"
    natural = Natural(("room", "code"))
    __table_args__ = (UniqueConstraint("room_id", "code"),)
    room_id: Mapped[int] = mapped_column(ForeignKey("room.id"))
    code: Mapped[str] = mapped_column(String(32))
    room: Mapped[Room] = relationship(back_populates="racks")


class Environment(Declared, Base):
    """develop, qa, stage, prod."""

    __tablename__ = "environment"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(32), unique=True)


class Host(Declared, Base):
    """One physical server under management."""

    __tablename__ = "host"
    natural = Natural(("name",))
    __table_args__ = (CheckConstraint(one_of("state", HOST_STATES), name="state"),)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(32), index=True)
    state: Mapped[str] = mapped_column(String(16), default="planned", index=True)
    rack_id: Mapped[int | None] = mapped_column(ForeignKey("rack.id"))
    serial: Mapped[str | None] = mapped_column(String(64), unique=True)
    asset_tag: Mapped[str | None] = mapped_column(String(64), unique=True)
    ssh_user: Mapped[str] = mapped_column(String(32), default="root")
    ssh_port: Mapped[int] = mapped_column(default=22)
    ssh_via_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    rack: Mapped[Rack | None] = relationship()
    ssh_via: Mapped[Host | None] = relationship(remote_side="Host.id")
    address: Mapped[Address | None] = relationship(back_populates="host")
    block_devices: Mapped[list[BlockDevice]] = relationship(
        back_populates="host", cascade="all, delete-orphan", order_by="BlockDevice.id"
    )
    keys: Mapped[list[HostKey]] = relationship(
        back_populates="host", cascade="all, delete-orphan", order_by="HostKey.type"
    )


class HostKey(Declared, Base):
    """An SSH host key, pinned at first contact and checked from then on."""

    __tablename__ = "host_key"
    natural = Natural(("host", "type"))
    __table_args__ = (UniqueConstraint("host_id", "type"),)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    type: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(2048))
    host: Mapped[Host] = relationship(back_populates="keys")


class BlockDevice(Declared, Base):
    """A raw disk, identified by serial, WWN or a stable path, with a declared purpose."""

    __tablename__ = "block_device"
    natural = Natural(("host", "serial|wwn|path"), ":")
    __table_args__ = (
        CheckConstraint(one_of("purpose", DISK_PURPOSES), name="purpose"),
        CheckConstraint("path IS NOT NULL OR serial IS NOT NULL OR wwn IS NOT NULL", name="identity"),
        UniqueConstraint("host_id", "path"),
    )
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    path: Mapped[str | None] = mapped_column(String(255))
    serial: Mapped[str | None] = mapped_column(String(128), unique=True)
    wwn: Mapped[str | None] = mapped_column(String(64), unique=True)
    purpose: Mapped[str] = mapped_column(String(16))
    host: Mapped[Host] = relationship(back_populates="block_devices")


class Prefix(Declared, Base):
    """An IP prefix. ``first`` and ``last`` are fixed-width text, so text order is address order."""

    __tablename__ = "prefix"
    natural = Natural(("cidr",))
    __table_args__ = (UniqueConstraint("id", "first", "last"), CheckConstraint("first <= last", name="order"))
    cidr: Mapped[str] = mapped_column(String(64), unique=True)
    first: Mapped[str] = mapped_column(String(34), info={"derived": True})
    last: Mapped[str] = mapped_column(String(34), info={"derived": True})
    purpose: Mapped[str] = mapped_column(String(32), default="management")
    idc_id: Mapped[int | None] = mapped_column(ForeignKey("idc.id"))
    idc: Mapped[Idc | None] = relationship()

    @validates("cidr")
    def _bounds(self, _field: str, cidr: str) -> str:
        """Keep the bounds in step with the notation."""
        network = ipaddress.ip_network(cidr)
        self.first = fixed_width(network.network_address)
        self.last = fixed_width(network.broadcast_address)
        return str(network)


class Address(Declared, Base):
    """An IP address of a host; the database itself refuses one outside its prefix."""

    __tablename__ = "address"
    natural = Natural(("address",))
    __table_args__ = (
        ForeignKeyConstraint(
            ["prefix_id", "prefix_first", "prefix_last"],
            ["prefix.id", "prefix.first", "prefix.last"],
            name="fk_address_prefix",
            onupdate="CASCADE",
        ),
        CheckConstraint("value >= prefix_first AND value <= prefix_last", name="inside_prefix"),
    )
    address: Mapped[str] = mapped_column(String(64), unique=True)
    value: Mapped[str] = mapped_column(String(34), unique=True, info={"derived": True})
    prefix_id: Mapped[int] = mapped_column(RowId)
    prefix_first: Mapped[str] = mapped_column(String(34), info={"derived": True})
    prefix_last: Mapped[str] = mapped_column(String(34))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), unique=True)
    host: Mapped[Host] = relationship(back_populates="address")
    prefix: Mapped[Prefix] = relationship()

    @validates("address")
    def _number(self, _field: str, address: str) -> str:
        """Keep the sortable form in step with the notation."""
        parsed = ipaddress.ip_address(address)
        self.value = fixed_width(parsed)
        return str(parsed)


class Allocation(Declared, Base):
    """A number from a pool that belongs to an owner key, so asking twice gives the same answer.

    Host ports have the pool ``ports:<host>`` and the owner ``<app>/<env>/<slot>``.
    """

    __tablename__ = "allocation"
    natural = Natural(("pool", "owner"))
    __table_args__ = (UniqueConstraint("pool", "owner"), UniqueConstraint("pool", "value"))
    pool: Mapped[str] = mapped_column(String(128))
    owner: Mapped[str] = mapped_column(String(128))
    value: Mapped[int]


class Registry(Declared, Base):
    """An image registry. Password and CA are references, never values."""

    __tablename__ = "registry"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    endpoint: Mapped[str | None] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(default=5000)
    username: Mapped[str | None] = mapped_column(String(64))
    password: Mapped[str | None] = mapped_column(String(255))
    ca: Mapped[str | None] = mapped_column(String(255))
    host: Mapped[Host | None] = relationship()


class App(Declared, Base):
    """What is delivered. Its settings are in versioned ``AppSpecVersion`` rows."""

    __tablename__ = "app"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    registry_id: Mapped[int] = mapped_column(ForeignKey("registry.id"))
    spec_version: Mapped[int] = mapped_column(default=1)
    # SQLAlchemy keeps the name `registry` for itself.
    image_registry: Mapped[Registry] = relationship()
    specs: Mapped[list[AppSpecVersion]] = relationship(
        back_populates="app", cascade="all, delete-orphan", order_by="AppSpecVersion.number"
    )


class AppSpecVersion(Declared, Base):
    """One version of an app's specification document (see ``drcloud.cmdb.appspec``); never updated."""

    __tablename__ = "app_spec_version"
    natural = Natural(("app", "number"))
    __table_args__ = (UniqueConstraint("app_id", "number"),)
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    number: Mapped[int]
    document: Mapped[Document] = mapped_column(JsonDocument)
    app: Mapped[App] = relationship(back_populates="specs")


class Placement(Declared, Base):
    """Which hosts run an app in an environment, how many must stay in service, how a roll may proceed."""

    __tablename__ = "placement"
    natural = Natural(("app", "environment"), "@")
    __table_args__ = (
        UniqueConstraint("app_id", "environment_id"),
        CheckConstraint("min_in_service >= 0 AND batch >= 1", name="roll"),
    )
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    min_in_service: Mapped[int] = mapped_column(default=0)
    batch: Mapped[int] = mapped_column(default=1)
    lb_port: Mapped[int | None]
    app: Mapped[App] = relationship()
    environment: Mapped[Environment] = relationship()
    members: Mapped[list[PlacementHost]] = relationship(
        back_populates="placement", cascade="all, delete-orphan", order_by="PlacementHost.position"
    )
    lbs: Mapped[list[PlacementLb]] = relationship(
        back_populates="placement", cascade="all, delete-orphan", order_by="PlacementLb.position"
    )


class PlacementHost(Declared, Base):
    """A host that runs the placement's app."""

    __tablename__ = "placement_host"
    natural = Natural(("placement", "host"))
    __table_args__ = (UniqueConstraint("placement_id", "host_id"),)
    placement_id: Mapped[int] = mapped_column(ForeignKey("placement.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    position: Mapped[int]
    host: Mapped[Host] = relationship()
    placement: Mapped[Placement] = relationship(back_populates="members")


class PlacementLb(Declared, Base):
    """A load balancer in front of the placement. Two placements never share a port of one load balancer."""

    __tablename__ = "placement_lb"
    natural = Natural(("placement", "host"))
    __table_args__ = (UniqueConstraint("placement_id", "host_id"), UniqueConstraint("host_id", "port"))
    placement_id: Mapped[int] = mapped_column(ForeignKey("placement.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    port: Mapped[int]
    position: Mapped[int]
    host: Mapped[Host] = relationship()
    placement: Mapped[Placement] = relationship(back_populates="lbs")


class Release(Declared, Base):
    """App + tag + digest, immutable once set; the same tag may come again with another digest."""

    __tablename__ = "release"
    natural = Natural(("app", "tag", "digest"), ":")
    __table_args__ = (
        UniqueConstraint("app_id", "tag", "digest"),
        CheckConstraint("digest LIKE 'sha256:%'", name="digest"),
    )
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    tag: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(71))
    git_ref: Mapped[str | None] = mapped_column(String(255))
    build: Mapped[str | None] = mapped_column(String(255))
    app: Mapped[App] = relationship()


class Channel(Declared, Base):
    """A moving tag of an app and the release it points at now."""

    __tablename__ = "channel"
    natural = Natural(("app", "tag"), ":")
    __table_args__ = (UniqueConstraint("app_id", "tag"),)
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    tag: Mapped[str] = mapped_column(String(128))
    release_id: Mapped[int] = mapped_column(ForeignKey("release.id"))
    app: Mapped[App] = relationship()
    release: Mapped[Release] = relationship()


class Schedule(Declared, Base):
    """A playbook that runs by the calendar (systemd's ``OnCalendar`` form)."""

    __tablename__ = "schedule"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    playbook: Mapped[str] = mapped_column(String(255))
    calendar: Mapped[str] = mapped_column(String(128))
    inventory: Mapped[str | None] = mapped_column(String(255))
