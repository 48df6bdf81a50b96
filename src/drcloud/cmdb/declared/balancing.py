"""What stands in front of placements by declaration: VIPs, pools, certificates.

The pools that load balancers serve today are derived from placements and need no row here.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from drcloud.cmdb.base import Base, Declared, Natural
from drcloud.cmdb.declared.apps import Placement
from drcloud.cmdb.declared.columns import moment, one_of
from drcloud.cmdb.declared.machines import Host
from drcloud.cmdb.declared.network import Address

POOL_MODES = ("http", "tcp")


class Vip(Declared, Base):
    """An address that moves between load balancers; ``vrrp_id`` is the virtual router's number.

    The first of ``lbs`` has the address as long as it is well.
    """

    __tablename__ = "vip"
    natural = Natural(("name",))
    __table_args__ = (CheckConstraint("vrrp_id BETWEEN 1 AND 255", name="vrrp_id"),)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), unique=True)
    vrrp_id: Mapped[int | None]
    address: Mapped[Address] = relationship()
    lbs: Mapped[list[VipLb]] = relationship(
        back_populates="vip", cascade="all, delete-orphan", order_by="VipLb.position"
    )


class VipLb(Declared, Base):
    """A load balancer that a VIP may move to."""

    __tablename__ = "vip_lb"
    natural = Natural(("vip", "host"))
    __table_args__ = (UniqueConstraint("vip_id", "host_id"),)
    vip_id: Mapped[int] = mapped_column(ForeignKey("vip.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    position: Mapped[int]
    host: Mapped[Host] = relationship()
    vip: Mapped[Vip] = relationship(back_populates="lbs")


class Certificate(Declared, Base):
    """A TLS certificate. ``private_key`` is a reference, never the key; ``fingerprint`` is SHA-256 in hex.

    ``pem`` refers to the certificate itself. ``host`` is the one it was made for; ``purpose`` is what it
    serves there (``registry``, ``engine-api`` …), or ``ca``.
    """

    __tablename__ = "certificate"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    subject: Mapped[str] = mapped_column(String(255))
    issuer: Mapped[str] = mapped_column(String(255))
    not_after: Mapped[datetime]
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    private_key: Mapped[str | None] = mapped_column(String(255))
    pem: Mapped[str | None] = mapped_column(String(255))
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    purpose: Mapped[str | None] = mapped_column(String(32))
    host: Mapped[Host | None] = relationship()

    @validates("not_after")
    def _moment(self, _field: str, value: datetime | str) -> datetime:
        return moment(value)


class LbPool(Declared, Base):
    """A port of a VIP, and the placement whose instances answer there."""

    __tablename__ = "lb_pool"
    natural = Natural(("name",))
    __table_args__ = (
        UniqueConstraint("vip_id", "port"),
        CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
        CheckConstraint(one_of("mode", POOL_MODES), name="mode"),
    )
    name: Mapped[str] = mapped_column(String(64), unique=True)
    vip_id: Mapped[int] = mapped_column(ForeignKey("vip.id"))
    port: Mapped[int]
    mode: Mapped[str] = mapped_column(String(8), default="http")
    placement_id: Mapped[int | None] = mapped_column(ForeignKey("placement.id"))
    certificate_id: Mapped[int | None] = mapped_column(ForeignKey("certificate.id"))
    vip: Mapped[Vip] = relationship()
    placement: Mapped[Placement | None] = relationship()
    certificate: Mapped[Certificate | None] = relationship()
