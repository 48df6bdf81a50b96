"""The sections of an import file as rows; what depends on the CMDB's state is added to them later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import AppEntry, Document, Entry, IdcEntry, PlacementEntry, VipEntry
from drcloud.cmdb.importfile import Position
from drcloud.cmdb.items.item import Item, here
from drcloud.cmdb.items.machines import host_items
from drcloud.cmdb.items.prefixes import PrefixTable
from drcloud.cmdb.natural import join_key, kinds

# Sections whose entries are rows as they stand, by kind.
PLAIN: Mapping[str, str] = {
    "environments": "environment",
    "hardware_models": "hardware_model",
    "vrfs": "vrf",
    "vlans": "vlan",
    "firewall_zones": "firewall_zone",
    "prefixes": "prefix",
    "schedules": "schedule",
    "allocations": "allocation",
    "registries": "registry",
    "tags": "tag",
    "app_spec_versions": "app_spec_version",
    "releases": "release",
    "certificates": "certificate",
    "lb_pools": "lb_pool",
    "changes": "change",
    "waivers": "waiver",
}


def flatten(
    document: Document, known_prefixes: Mapping[str, Fields], only_registry: str | None
) -> Iterator[Item]:
    """Yield all rows of a file but versions, rack units and ports, which depend on what there is."""
    for number, idc in enumerate(document.idcs):
        yield from _idc(idc, ("idcs", number))
    plain = [item for section in PLAIN for item in _plain(document, section)]
    yield from plain
    prefixes = PrefixTable(_prefixes(plain, known_prefixes))
    free = set()
    for number, entry in enumerate(document.addresses):
        fields = entry.model_dump(mode="json", include=entry.model_fields_set)
        fields["prefix"] = prefixes.find(entry.address, entry.vrf)
        key = join_key(kinds()["address"], fields.get)
        free.add(key)
        yield Item("address", key, fields, ("addresses", number), {"prefix": ("address",)})
    for number, host in enumerate(document.hosts):
        yield from host_items(host, ("hosts", number), prefixes, free)
    for number, app in enumerate(document.apps):
        yield _app(app, ("apps", number), only_registry)
    for number, placement in enumerate(document.placements):
        yield from _placement(placement, ("placements", number))
    for number, vip in enumerate(document.vips):
        yield from _vip(vip, ("vips", number))
    yield from _channels(document)


def _idc(idc: IdcEntry, position: Position) -> Iterator[Item]:
    yield Item("idc", idc.code, idc.said("code", "name", "attrs"), position)
    for number, room in enumerate(idc.rooms):
        place = (*position, "rooms", number)
        key = f"{idc.code}/{room.code}"
        yield Item("room", key, {"idc": idc.code, **room.said("code", "name", "attrs")}, place)
        for shelf, rack in enumerate(room.racks):
            fields = {"room": key, **rack.said("code", "units", "attrs")}
            yield Item("rack", f"{key}/{rack.code}", fields, (*place, "racks", shelf))


def _plain(document: Document, section: str) -> Iterator[Item]:
    kind = kinds()[PLAIN[section]]
    entries: tuple[Entry, ...] = getattr(document, section)
    for number, entry in enumerate(entries):
        fields = entry.model_dump(mode="json", include=entry.model_fields_set)
        yield Item(kind.name, join_key(kind, fields.get), fields, (section, number))


def _prefixes(items: list[Item], known: Mapping[str, Fields]) -> dict[str, Fields]:
    """Return the prefixes as they will be."""
    found = dict(known)
    for item in items:
        if item.kind == "prefix":
            found[item.key] = {**known.get(item.key, {}), **item.fields}
    return found


def _app(app: AppEntry, position: Position, only_registry: str | None) -> Item:
    fields = app.said("name", "spec_version", "attrs")
    if app.registry or only_registry:
        fields["image_registry"] = app.registry or only_registry
    if fields.get("spec_version", 1) is None:
        del fields["spec_version"]
    return Item("app", app.name, fields, position, {"image_registry": ("registry",)})


def _placement(entry: PlacementEntry, position: Position) -> Iterator[Item]:
    key = f"{entry.app}@{entry.env}"
    fields: Fields = {"app": entry.app, "environment": entry.env}
    fields |= entry.said("min_in_service", "batch", "lb_port", "attrs")
    if entry.batch_percent is not None:
        # The column holds numbers; `shares` puts the share beside it.
        fields["batch"] = 1
    yield Item("placement", key, fields, position, {"environment": ("env",)})
    for number, host in enumerate(entry.hosts):
        fields = {"placement": key, "host": host, "position": number}
        yield Item("placement_host", f"{key}/{host}", fields, (*position, "hosts", number), here(fields))
    for number, host in enumerate(entry.lbs):
        fields = {"placement": key, "host": host, "port": entry.lb_port, "position": number}
        yield Item("placement_lb", f"{key}/{host}", fields, (*position, "lbs", number), here(fields))


def _vip(entry: VipEntry, position: Position) -> Iterator[Item]:
    yield Item("vip", entry.name, entry.said("name", "address", "vrrp_id", "attrs"), position)
    for number, host in enumerate(entry.lbs):
        fields = {"vip": entry.name, "host": host, "position": number}
        yield Item("vip_lb", f"{entry.name}/{host}", fields, (*position, "lbs", number), here(fields))


def _channels(document: Document) -> Iterator[Item]:
    for number, channel in enumerate(document.channels):
        release = f"{channel.app}:{channel.release}:{channel.digest}"
        fields = {**channel.said("app", "tag", "attrs"), "release": release}
        yield Item("channel", f"{channel.app}:{channel.tag}", fields, ("channels", number))
