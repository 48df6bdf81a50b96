"""The units of racks that the hosts of a file occupy: as many as their model takes."""

from __future__ import annotations

from collections.abc import Iterator

from drcloud.cmdb.document import Document, HostEntry
from drcloud.cmdb.importfile import Position
from drcloud.cmdb.items.item import Item
from drcloud.cmdb.state import State


def slots(document: Document, state: State) -> Iterator[Item]:
    """Yield a row for each unit of the hosts that say where they stand."""
    heights = {name: int(fields["rack_units"]) for name, fields in state["hardware_model"].items()}
    heights |= {
        entry.name: entry.rack_units
        for entry in document.hardware_models
        if "rack_units" in entry.model_fields_set or entry.name not in heights
    }
    for number, host in enumerate(document.hosts):
        known = state["host"].get(host.name, {})
        model = host.model if "model" in host.model_fields_set else known.get("model")
        rack = host.rack if "rack" in host.model_fields_set else known.get("rack")
        for unit, place in _units(host, heights.get(str(model), 1)):
            fields = {"rack": rack, "unit": unit, "host": host.name}
            at: dict[str, Position] = {"unit": place, "host": ("name",)}
            yield Item("rack_slot", f"{rack or ''}/{unit}", fields, ("hosts", number), at)


def _units(host: HostEntry, height: int) -> Iterator[tuple[int, Position]]:
    """Yield the units of a host and where they stand below it."""
    for number, unit in enumerate(host.units):
        yield unit, ("units", number)
    if host.unit is not None:
        yield from ((unit, ("unit",)) for unit in range(host.unit, host.unit + height))
