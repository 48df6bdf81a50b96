"""Hosts and what is part of them: keys, disks, network ports, bridges, the BMC, tags."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from drcloud.cmdb.base import Base, Declared, Natural
from drcloud.cmdb.declared.columns import mac_address, one_of
from drcloud.cmdb.declared.network import PRIMARY, Address
from drcloud.cmdb.declared.places import HardwareModel, Rack, RackSlot

if TYPE_CHECKING:
    from drcloud.cmdb.declared.apps import App

HOST_STATES = ("planned", "provisioning", "active", "maintenance", "quarantined", "retired")
DISK_PURPOSES = ("docker-data", "app-volume", "raw", "spare")
FILESYSTEMS = ("xfs", "ext4")
BRIDGE_MODES = ("nat", "uplink")
# How long the prefix of a host's own subnet is, where its bridge does not say.
SUBNET_LENGTHS = {"nat": 24, "uplink": 28}
BMC_TYPES = ("ipmi", "redfish")
PARTS = "all, delete-orphan"


class Host(Declared, Base):
    """One physical server under management; ``address`` is the one it is reached at.

    ``state`` moves as ``drcloud.cmdb.hosts.MOVES`` allows; the database refuses any other move.
    """

    __tablename__ = "host"
    natural = Natural(("name",))
    __table_args__ = (CheckConstraint(one_of("state", HOST_STATES), name="state"),)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(32), index=True)
    state: Mapped[str] = mapped_column(String(16), default="planned", index=True)
    rack_id: Mapped[int | None] = mapped_column(ForeignKey("rack.id"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("hardware_model.id"))
    serial: Mapped[str | None] = mapped_column(String(64), unique=True)
    asset_tag: Mapped[str | None] = mapped_column(String(64), unique=True)
    ssh_user: Mapped[str] = mapped_column(String(32), default="root")
    ssh_port: Mapped[int] = mapped_column(default=22)
    ssh_via_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    rack: Mapped[Rack | None] = relationship()
    model: Mapped[HardwareModel | None] = relationship()
    ssh_via: Mapped[Host | None] = relationship(remote_side="Host.id")
    address: Mapped[Address | None] = relationship(
        primaryjoin=lambda: (Address.host_id == Host.id) & (Address.purpose == PRIMARY), viewonly=True
    )
    addresses: Mapped[list[Address]] = relationship(
        back_populates="host", cascade="save-update, merge, delete", order_by="Address.value"
    )
    slots: Mapped[list[RackSlot]] = relationship(
        back_populates="host", cascade=PARTS, order_by="RackSlot.unit"
    )
    nics: Mapped[list[Nic]] = relationship(back_populates="host", cascade=PARTS, order_by="Nic.name")
    bridges: Mapped[list[Bridge]] = relationship(back_populates="host", cascade=PARTS, order_by="Bridge.name")
    bmc: Mapped[Bmc | None] = relationship(back_populates="host", cascade=PARTS)
    block_devices: Mapped[list[BlockDevice]] = relationship(
        back_populates="host", cascade=PARTS, order_by="BlockDevice.id"
    )
    keys: Mapped[list[HostKey]] = relationship(back_populates="host", cascade=PARTS, order_by="HostKey.type")
    tags: Mapped[list[HostTag]] = relationship(back_populates="host", cascade=PARTS, order_by="HostTag.id")


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
    """A raw disk, identified by serial, WWN or a stable path, with a declared purpose.

    ``uuid`` is that of the file system which was made on it, or the mark of a raw disk that was handed over:
    by that a disk is known to be ours.
    ``mount`` is where an app's volume is mounted.
    """

    __tablename__ = "block_device"
    natural = Natural(("host", "serial|wwn|path"), ":")
    __table_args__ = (
        CheckConstraint(one_of("purpose", DISK_PURPOSES), name="purpose"),
        CheckConstraint("path IS NOT NULL OR serial IS NOT NULL OR wwn IS NOT NULL", name="identity"),
        CheckConstraint(one_of("filesystem", FILESYSTEMS), name="filesystem"),
        CheckConstraint("mount IS NULL OR (purpose = 'app-volume' AND mount LIKE '/%')", name="mount"),
        UniqueConstraint("host_id", "path"),
        Index("uq_block_device_host_id_mount", "host_id", "mount", unique=True),
        Index("uq_block_device_host_id_uuid", "host_id", "uuid", unique=True),
    )
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    path: Mapped[str | None] = mapped_column(String(255))
    serial: Mapped[str | None] = mapped_column(String(128), unique=True)
    wwn: Mapped[str | None] = mapped_column(String(64), unique=True)
    purpose: Mapped[str] = mapped_column(String(16))
    filesystem: Mapped[str | None] = mapped_column(String(8))
    mount: Mapped[str | None] = mapped_column(String(255))
    uuid: Mapped[str | None] = mapped_column(String(36))
    app_id: Mapped[int | None] = mapped_column(ForeignKey("app.id"))
    host: Mapped[Host] = relationship(back_populates="block_devices")
    app: Mapped[App | None] = relationship()


class Nic(Declared, Base):
    """A network port of a host, by the name its system gives it; ``speed_mbps`` in megabits a second."""

    __tablename__ = "nic"
    natural = Natural(("host", "name"))
    __table_args__ = (
        UniqueConstraint("host_id", "name"),
        CheckConstraint("speed_mbps IS NULL OR speed_mbps > 0", name="speed_mbps"),
    )
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    name: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str | None] = mapped_column(String(17), unique=True)
    speed_mbps: Mapped[int | None]
    host: Mapped[Host] = relationship(back_populates="nics")

    @validates("mac")
    def _one_notation(self, _field: str, mac: str | None) -> str | None:
        return mac_address(mac) if mac else None


class Bridge(Declared, Base):
    """A bridge that containers are attached to, by its name on the host.

    ``nat``: their ports are published on the host's address. ``uplink``: the bridge takes over ``nic``
    and its address, and containers get addresses of the IDC. ``containers`` is the aggregate that the
    host's own subnet of ``length`` is carved from; without a length, the mode's usual one. ``mtu`` is
    in bytes, without one it is that of the network port.
    """

    __tablename__ = "bridge"
    natural = Natural(("host", "name"))
    __table_args__ = (
        UniqueConstraint("host_id", "name"),
        UniqueConstraint("host_id", "nic"),
        CheckConstraint(one_of("mode", BRIDGE_MODES), name="mode"),
        CheckConstraint("(mode = 'uplink') = (nic IS NOT NULL)", name="nic"),
        CheckConstraint("mode = 'nat' OR containers IS NOT NULL", name="containers"),
        CheckConstraint("length(name) BETWEEN 1 AND 15", name="name"),
        CheckConstraint("length BETWEEN 1 AND 128", name="length"),
        CheckConstraint("mtu BETWEEN 68 AND 65535", name="mtu"),
    )
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    name: Mapped[str] = mapped_column(String(15))
    mode: Mapped[str] = mapped_column(String(8))
    nic: Mapped[str | None] = mapped_column(String(15))
    containers: Mapped[str | None] = mapped_column(String(64))
    length: Mapped[int | None]
    mtu: Mapped[int | None]
    ipv6: Mapped[str | None] = mapped_column(String(64))
    host: Mapped[Host] = relationship(back_populates="bridges")

    @validates("containers", "ipv6")
    def _one_notation(self, _field: str, cidr: str | None) -> str | None:
        return str(ipaddress.ip_network(cidr)) if cidr else None


class Bmc(Declared, Base):
    """The management controller of a host. ``credential`` is a reference, never the secret."""

    __tablename__ = "bmc"
    natural = Natural(("host",))
    __table_args__ = (CheckConstraint(one_of("type", BMC_TYPES), name="type"),)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), unique=True)
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), unique=True)
    type: Mapped[str] = mapped_column(String(16), default="redfish")
    credential: Mapped[str | None] = mapped_column(String(255))
    host: Mapped[Host] = relationship(back_populates="bmc")
    address: Mapped[Address] = relationship()


class Tag(Declared, Base):
    """A word that hosts are marked with, for what no field of its own is worth."""

    __tablename__ = "tag"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str] = mapped_column(String(255), default="")


class HostTag(Declared, Base):
    """That a host carries a tag."""

    __tablename__ = "host_tag"
    natural = Natural(("host", "tag"))
    __table_args__ = (UniqueConstraint("host_id", "tag_id"),)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), index=True)
    host: Mapped[Host] = relationship(back_populates="tags")
    tag: Mapped[Tag] = relationship()
