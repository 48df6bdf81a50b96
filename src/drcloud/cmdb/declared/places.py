"""Where hosts stand: IDC, room, rack, the units of a rack, and how many of them a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from drcloud.cmdb.base import Base, Declared, Natural

if TYPE_CHECKING:
    from drcloud.cmdb.declared.machines import Host

RACK_UNITS = 42


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
    """A rack of a room: a failure domain of power strips and the top switch; ``units`` is its height."""

    __tablename__ = "rack"
    natural = Natural(("room", "code"))
    __table_args__ = (
        UniqueConstraint("room_id", "code"),
        CheckConstraint("units >= 1 AND units <= 100", name="units"),
    )
    room_id: Mapped[int] = mapped_column(ForeignKey("room.id"))
    code: Mapped[str] = mapped_column(String(32))
    units: Mapped[int] = mapped_column(default=RACK_UNITS)
    room: Mapped[Room] = relationship(back_populates="racks")


class RackSlot(Declared, Base):
    """A unit of a rack that a host occupies, counted from 1 at the bottom.

    A host of two units has two rows. The database refuses a unit that is taken, one above the rack,
    and a host that stands in another rack.
    """

    __tablename__ = "rack_slot"
    natural = Natural(("rack", "unit"))
    __table_args__ = (UniqueConstraint("rack_id", "unit"), CheckConstraint("unit >= 1", name="unit"))
    rack_id: Mapped[int] = mapped_column(ForeignKey("rack.id"))
    unit: Mapped[int]
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), index=True)
    rack: Mapped[Rack] = relationship()
    host: Mapped[Host] = relationship(back_populates="slots")


class HardwareModel(Declared, Base):
    """A model of server; ``rack_units`` is how many units of a rack it takes."""

    __tablename__ = "hardware_model"
    natural = Natural(("name",))
    __table_args__ = (CheckConstraint("rack_units >= 1 AND rack_units <= 100", name="rack_units"),)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    vendor: Mapped[str] = mapped_column(String(64), default="")
    rack_units: Mapped[int] = mapped_column(default=1)
