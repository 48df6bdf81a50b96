"""IPAM: VRFs, VLANs, firewall zones, prefixes, addresses, and numbers that belong to an owner."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from drcloud.cmdb.base import Base, Declared, JsonDocument, Natural, RowId
from drcloud.cmdb.declared.columns import fixed_width
from drcloud.cmdb.declared.places import Idc

if TYPE_CHECKING:
    from drcloud.cmdb.declared.machines import Host, Nic

PRIMARY = "management"
# What a zone may allow; which ports that is, by the role of a host, is the firewall's matter.
SERVICES = ("ssh", "registry", "log", "time", "api", "apps", "lb", "lb_admin", "vrrp", "ping")


def _unique_where(name: str, condition: str, *columns: str) -> Index:
    """Return a unique index over the rows that meet a condition."""
    where = text(condition)
    return Index(name, *columns, unique=True, sqlite_where=where, postgresql_where=where)


class Vrf(Declared, Base):
    """A routing table of its own: the same prefix may exist once in each. Without one: the default VRF."""

    __tablename__ = "vrf"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str] = mapped_column(String(255), default="")


class Vlan(Declared, Base):
    """A VLAN of an IDC."""

    __tablename__ = "vlan"
    natural = Natural(("idc", "vid"))
    __table_args__ = (
        UniqueConstraint("idc_id", "vid"),
        CheckConstraint("vid BETWEEN 1 AND 4094", name="vid"),
    )
    idc_id: Mapped[int] = mapped_column(ForeignKey("idc.id"))
    vid: Mapped[int]
    name: Mapped[str] = mapped_column(String(64), default="")
    idc: Mapped[Idc] = relationship()


class FirewallZone(Declared, Base):
    """A zone of the firewall; prefixes lie in it. ``allows`` are the services that are open to it."""

    __tablename__ = "firewall_zone"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    allows: Mapped[list[Any]] = mapped_column(JsonDocument, default=list)


class Prefix(Declared, Base):
    """An IP prefix; ``first`` and ``last`` are fixed-width text, so text order is address order.

    One that contains others is an aggregate. The database refuses any other prefix inside of a
    prefix of its VRF. The parent follows from the bounds and is stored nowhere.
    """

    __tablename__ = "prefix"
    natural = Natural(("cidr", "vrf?"), "@")
    __table_args__ = (
        UniqueConstraint("id", "first", "last"),
        CheckConstraint("first <= last", name="order"),
        UniqueConstraint("vrf_id", "cidr"),
        _unique_where("uq_prefix_default_vrf_cidr", "vrf_id IS NULL", "cidr"),
    )
    cidr: Mapped[str] = mapped_column(String(64))
    vrf_id: Mapped[int | None] = mapped_column(ForeignKey("vrf.id"))
    aggregate: Mapped[bool] = mapped_column(default=False)
    first: Mapped[str] = mapped_column(String(34), index=True, info={"derived": True})
    last: Mapped[str] = mapped_column(String(34), info={"derived": True})
    purpose: Mapped[str] = mapped_column(String(32), default="management")
    idc_id: Mapped[int | None] = mapped_column(ForeignKey("idc.id"))
    vlan_id: Mapped[int | None] = mapped_column(ForeignKey("vlan.id"))
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("firewall_zone.id"))
    vrf: Mapped[Vrf | None] = relationship()
    idc: Mapped[Idc | None] = relationship()
    vlan: Mapped[Vlan | None] = relationship()
    zone: Mapped[FirewallZone | None] = relationship()

    @validates("cidr")
    def _bounds(self, _field: str, cidr: str) -> str:
        """Keep the bounds in step with the notation."""
        network = ipaddress.ip_network(cidr)
        self.first = fixed_width(network.network_address)
        self.last = fixed_width(network.broadcast_address)
        return str(network)


class Address(Declared, Base):
    """An IP address; the database itself refuses one outside its prefix, and one twice in a VRF.

    ``purpose`` ``management`` makes it the address its host is reached at; a host has at most one.
    """

    __tablename__ = "address"
    natural = Natural(("address", "vrf?"), "@")
    __table_args__ = (
        ForeignKeyConstraint(
            ["prefix_id", "prefix_first", "prefix_last"],
            ["prefix.id", "prefix.first", "prefix.last"],
            name="fk_address_prefix",
            onupdate="CASCADE",
        ),
        CheckConstraint("value >= prefix_first AND value <= prefix_last", name="inside_prefix"),
        CheckConstraint("nic_id IS NULL OR host_id IS NOT NULL", name="nic_of_host"),
        UniqueConstraint("vrf_id", "value"),
        _unique_where("uq_address_default_vrf_value", "vrf_id IS NULL", "value"),
        _unique_where("uq_address_primary_host_id", f"purpose = '{PRIMARY}'", "host_id"),
    )
    address: Mapped[str] = mapped_column(String(64), index=True)
    value: Mapped[str] = mapped_column(String(34), info={"derived": True})
    vrf_id: Mapped[int | None] = mapped_column(ForeignKey("vrf.id"))
    purpose: Mapped[str] = mapped_column(String(32), default=PRIMARY)
    prefix_id: Mapped[int] = mapped_column(RowId, index=True)
    prefix_first: Mapped[str] = mapped_column(String(34), info={"derived": True})
    prefix_last: Mapped[str] = mapped_column(String(34))
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    nic_id: Mapped[int | None] = mapped_column(ForeignKey("nic.id"), index=True)
    host: Mapped[Host | None] = relationship(back_populates="addresses")
    nic: Mapped[Nic | None] = relationship()
    vrf: Mapped[Vrf | None] = relationship()
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
