"""Entries of places: IDCs with their rooms and racks, and the models that stand in them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from drcloud.cmdb.declared import RACK_UNITS
from drcloud.cmdb.document.values import Attrs, Code, Entry, Short, Text, Unit


def _rack(value: Any) -> Any:
    """Take the code alone as the rack."""
    return value if isinstance(value, (dict, RackEntry)) else {"code": value}


class RackEntry(Entry):
    """A rack and its height in units; one of the usual height may be written as its code alone."""

    code: Code
    units: Unit = RACK_UNITS
    attrs: Attrs


class RoomEntry(Entry):
    """A room and its racks."""

    code: Code
    name: Text = ""
    racks: tuple[Annotated[RackEntry, BeforeValidator(_rack)], ...] = ()
    attrs: Attrs


class IdcEntry(Entry):
    """A data centre."""

    code: Code
    name: Text = ""
    rooms: tuple[RoomEntry, ...] = ()
    attrs: Attrs


class HardwareModelEntry(Entry):
    """A model of server, and how many units of a rack it takes."""

    name: Short
    vendor: Annotated[str, Field(max_length=64)] = ""
    rack_units: Unit = 1
    attrs: Attrs
