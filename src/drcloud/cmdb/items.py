"""An import file flattened: the rows it wants, by natural key, each with its place in the file."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import fixed_width
from drcloud.cmdb.document import Document, HostEntry, IdcEntry, PlacementEntry
from drcloud.cmdb.yamlfile import Position


@dataclass(frozen=True, slots=True)
class Item:
    """A wanted row: the fields the file sets, and where in the file it stands.

    ``at`` says for fields whose name in the file is another where they stand below ``position``.
    """

    kind: str
    key: str
    fields: Fields
    position: Position
    at: Mapping[str, Position] = field(default_factory=dict)

    def where(self, name: str) -> Position:
        """Return the position of a field."""
        return self.position + self.at.get(name, (name,))


def flatten(
    document: Document, known_prefixes: Mapping[str, Fields], only_registry: str | None
) -> Iterator[Item]:
    """Yield all rows of a file but specifications and ports, which depend on what there is."""
    wanted = {entry.cidr: entry.said("cidr") for entry in document.prefixes}
    known = {key: {**fields, **wanted.get(key, {})} for key, fields in {**wanted, **known_prefixes}.items()}
    prefixes = PrefixTable(known)
    for number, idc in enumerate(document.idcs):
        yield from _idc(idc, ("idcs", number))
    yield from _plain(document)
    for number, host in enumerate(document.hosts):
        yield from _host(host, ("hosts", number), prefixes)
    for number, registry in enumerate(document.registries):
        fields = registry.said("name", "host", "endpoint", "port", "username", "password", "ca", "attrs")
        yield Item("registry", registry.name, fields, ("registries", number))
    for number, app in enumerate(document.apps):
        fields = app.said("name", "attrs") | ({"image_registry": app.registry} if app.registry else {})
        if not app.registry and only_registry:
            fields["image_registry"] = only_registry
        yield Item("app", app.name, fields, ("apps", number), {"image_registry": ("registry",)})
    for number, placement in enumerate(document.placements):
        yield from _placement(placement, ("placements", number))
    yield from _history(document)


def _idc(idc: IdcEntry, position: Position) -> Iterator[Item]:
    yield Item("idc", idc.code, idc.said("code", "name", "attrs"), position)
    for number, room in enumerate(idc.rooms):
        place = (*position, "rooms", number)
        key = f"{idc.code}/{room.code}"
        yield Item("room", key, {"idc": idc.code, **room.said("code", "name", "attrs")}, place)
        for shelf, code in enumerate(room.racks):
            yield Item("rack", f"{key}/{code}", {"room": key, "code": code}, (*place, "racks", shelf))


def _plain(document: Document) -> Iterator[Item]:
    for number, environment in enumerate(document.environments):
        yield Item(
            "environment", environment.name, environment.said("name", "attrs"), ("environments", number)
        )
    for number, prefix in enumerate(document.prefixes):
        fields = prefix.said("cidr", "idc", "purpose", "attrs")
        yield Item("prefix", prefix.cidr, fields, ("prefixes", number))
    for number, schedule in enumerate(document.schedules):
        fields = schedule.said("name", "playbook", "calendar", "inventory", "attrs")
        yield Item("schedule", schedule.name, fields, ("schedules", number))
    for number, allocation in enumerate(document.allocations):
        key = f"{allocation.pool}/{allocation.owner}"
        yield Item("allocation", key, allocation.said("pool", "owner", "value"), ("allocations", number))


def _host(host: HostEntry, position: Position, prefixes: PrefixTable) -> Iterator[Item]:
    fields = host.said("name", "role", "rack", "state", "serial", "asset_tag", "attrs")
    ssh = host.ssh.said("user", "port", "via")
    fields |= {f"ssh_{name}": value for name, value in ssh.items()}
    at: dict[str, Position] = {f"ssh_{name}": ("ssh", name) for name in ssh}
    yield Item("host", host.name, fields, position, at)
    address = {"address": host.address, "host": host.name, "prefix": prefixes.find(host.address)}
    yield Item("address", host.address, address, position, {"host": ("name",), "prefix": ("address",)})
    for number, disk in enumerate(host.block_devices):
        values = disk.said("path", "serial", "wwn", "purpose", "attrs")
        key = f"{host.name}:{disk.serial or disk.wwn or disk.path or ''}"
        place = (*position, "block_devices", number)
        yield Item("block_device", key, {"host": host.name, **values}, place, {"host": ()})
    for kind, text in host.host_keys.items():
        key_fields = {"host": host.name, "type": kind, "key": text}
        place = (*position, "host_keys", kind)
        yield Item("host_key", f"{host.name}/{kind}", key_fields, place, dict.fromkeys(key_fields, ()))


def _placement(entry: PlacementEntry, position: Position) -> Iterator[Item]:
    key = f"{entry.app}@{entry.env}"
    fields: Fields = {"app": entry.app, "environment": entry.env}
    fields |= entry.said("min_in_service", "batch", "lb_port", "attrs")
    yield Item("placement", key, fields, position, {"environment": ("env",)})
    for number, host in enumerate(entry.hosts):
        fields = {"placement": key, "host": host, "position": number}
        yield Item("placement_host", f"{key}/{host}", fields, (*position, "hosts", number), _here(fields))
    for number, host in enumerate(entry.lbs):
        fields = {"placement": key, "host": host, "port": entry.lb_port, "position": number}
        yield Item("placement_lb", f"{key}/{host}", fields, (*position, "lbs", number), _here(fields))


def _history(document: Document) -> Iterator[Item]:
    for number, release in enumerate(document.releases):
        key = f"{release.app}:{release.tag}:{release.digest}"
        fields = release.said("app", "tag", "digest", "git_ref", "build", "attrs")
        yield Item("release", key, fields, ("releases", number))
    for number, channel in enumerate(document.channels):
        release_key = f"{channel.app}:{channel.release}:{channel.digest}"
        fields = {"app": channel.app, "tag": channel.tag, "release": release_key}
        yield Item("channel", f"{channel.app}:{channel.tag}", fields, ("channels", number))


def _here(fields: Mapping[str, Any]) -> dict[str, Position]:
    """Say that all fields stand where the item itself stands."""
    return dict.fromkeys(fields, ())


class PrefixTable:
    """The prefixes of all VRFs, by natural key: which contains an address, which lie in one another."""

    def __init__(self, prefixes: Mapping[str, Fields]) -> None:
        nested: dict[str | None, list[_Known]] = defaultdict(list)
        for key, fields in prefixes.items():
            nested[fields.get("vrf")].append(_known(key, fields))
        self._of = {
            vrf: sorted(known, key=lambda one: (one.first, -one.length)) for vrf, known in nested.items()
        }

    def find(self, address: str, vrf: str | None = None) -> str | None:
        """Return the prefix an address lies in, if any: the most specific one that is no aggregate."""
        value = fixed_width(ipaddress.ip_address(address))
        known = self._of.get(vrf, [])
        # Nothing begins inside of a prefix that is no aggregate, so it is the last that begins before.
        before = bisect_right(known, value, key=lambda one: one.first)
        last = known[before - 1] if before else None
        return last.key if last and not last.aggregate and last.last >= value else None

    def overlaps(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs of which the first contains the second and is no aggregate."""
        for known in self._of.values():
            leaf: _Known | None = None
            for one in known:
                if leaf is not None and one.first <= leaf.last:
                    yield leaf.key, one.key
                elif not one.aggregate:
                    leaf = one


class _Known(NamedTuple):
    """A prefix as its bounds; ``length`` is how many addresses it has."""

    first: str
    last: str
    length: int
    key: str
    aggregate: bool


def _known(key: str, fields: Fields) -> _Known:
    network = ipaddress.ip_network(fields["cidr"])
    first, last = fixed_width(network.network_address), fixed_width(network.broadcast_address)
    return _Known(first, last, network.num_addresses, key, bool(fields.get("aggregate")))
