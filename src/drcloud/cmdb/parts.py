"""What a file gives as whole lists, so that what a list leaves out goes: disks, keys, addresses of a host."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.document import Document, HostEntry
from drcloud.cmdb.importfile import Problem
from drcloud.cmdb.items import Item
from drcloud.cmdb.items.machines import BMC
from drcloud.cmdb.state import State

Key = tuple[str, str]
# The field of a host that lists the rows of a kind.
LISTS = {
    "block_device": "block_devices",
    "host_key": "host_keys",
    "host_tag": "tags",
    "nic": "nics",
    "bridge": "bridges",
    "bmc": "bmc",
}


def lost(document: Document, items: Iterable[Item], state: State) -> dict[Key, None]:
    """Return the rows that are missing in a list of the file, and those that make room by being written anew.

    An address that moves to another host, or becomes its management address, is taken away first: a
    host has only one. So is a unit of a rack.
    """
    wanted = {(item.kind, item.key): item for item in items}
    found: dict[Key, None] = {}
    for kind, is_listed in _listings(document).items():
        for key, fields in state[kind].items():
            if not is_listed(fields):
                continue
            item = wanted.get((kind, key))
            if item is None or _moves(kind, fields, item.fields):
                found[kind, key] = None
    return found


def takeovers(items: Iterable[Item], state: State, gone: Container[Key]) -> Iterator[Problem]:
    """Yield the units of racks that a file takes from hosts it does not speak of."""
    for item in items:
        known = state["rack_slot"].get(item.key) if item.kind == "rack_slot" else None
        if known and known["host"] != item.fields["host"] and ("rack_slot", item.key) not in gone:
            words = (
                f"unit {item.fields['unit']} of rack {known['rack']} belongs to host {known['host']} already"
            )
            yield Problem(item.where("unit"), words)


def _listings(document: Document) -> Mapping[str, Callable[[Fields], bool]]:
    """Return for each kind of part how to tell that the file lists the parts of a row's owner."""
    hosts = {entry.name: entry for entry in document.hosts}
    placements = {f"{entry.app}@{entry.env}" for entry in document.placements}
    vips = {entry.name for entry in document.vips if "lbs" in entry.model_fields_set}

    def by(name: str) -> Callable[[Fields], bool]:
        return lambda fields: _says(hosts.get(fields["host"]), name)

    return {
        "address": lambda fields: _lists_address(hosts.get(fields["host"]), fields),
        "rack_slot": lambda fields: _lists_slot(hosts.get(fields["host"]), fields),
        **{kind: by(name) for kind, name in LISTS.items()},
        "placement_host": lambda fields: fields["placement"] in placements,
        "placement_lb": lambda fields: fields["placement"] in placements,
        "vip_lb": lambda fields: fields["vip"] in vips,
    }


def _says(host: HostEntry | None, name: str) -> bool:
    return host is not None and name in host.model_fields_set


def _lists_address(host: HostEntry | None, fields: Fields) -> bool:
    purpose = fields["purpose"]
    if purpose == PRIMARY:
        return host is not None
    return _says(host, "bmc" if purpose == BMC else "addresses")


def _lists_slot(host: HostEntry | None, fields: Fields) -> bool:
    if host is None:
        return False
    moved = "rack" in host.model_fields_set and host.rack != fields["rack"]
    return moved or not host.model_fields_set.isdisjoint({"unit", "units"})


def _moves(kind: str, known: Fields, wanted: Fields) -> bool:
    if kind not in ("address", "rack_slot"):
        return False
    if wanted.get("host", known["host"]) != known["host"]:
        return True
    return kind == "address" and wanted.get("purpose") == PRIMARY != known["purpose"]
