"""What a NetBox means for the CMDB: pure, from a picture of it to the rows it wants.

Every row knows the object it comes from (``source``), so that it follows that when it gets another name.
"""

from __future__ import annotations

import ipaddress
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from drcloud.cmdb import values
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY, mac_address
from drcloud.cmdb.natural import join_key, kinds
from drcloud.cmdb.netbox import names
from drcloud.cmdb.netbox.picture import Picture
from drcloud.cmdb.netbox.records import (
    Address,
    Device,
    DeviceRole,
    DeviceType,
    Interface,
    Location,
    Manufacturer,
    Prefix,
    R,
    Rack,
    Record,
    Site,
    Tag,
    Vrf,
)

# Racks without a location stand in a room of this name.
ROOM = "main"
SERVICE = "service"
CONTAINER = "container"
# Interfaces that show the MAC address of another one (NetBox, dcim/choices.py: VIRTUAL_IFACE_TYPES).
BORROWING = frozenset({"virtual", "bridge", "lag"})
# Roles of addresses that several interfaces share (NetBox, ipam/choices.py).
SHARED = frozenset({"anycast", "vip", "vrrp", "hsrp", "glbp", "carp"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row that NetBox wants: its fields, the object behind it, and how that is called in messages.

    A ``part`` says something of a host (the units it occupies, its tags) and goes as it comes.
    """

    kind: str
    fields: Fields
    source: str
    label: str
    part: bool = False

    @property
    def key(self) -> str:
        """The natural key of the row."""
        return join_key(kinds()[self.kind], self.fields.get)


@dataclass(frozen=True, slots=True)
class Mapped:
    """The rows, what is wrong with names and values in NetBox, and which objects are left out, and why."""

    wanted: tuple[Wanted, ...]
    problems: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a user wants of a NetBox; empty: everything."""

    sites: Sequence[str] = ()
    roles: Sequence[str] = ()


def make(picture: Picture, choice: Choice) -> Mapped:
    """Map a NetBox."""
    return _Mapping(picture, choice).result()


@dataclass
class _Mapping:
    picture: Picture
    choice: Choice
    wanted: list[Wanted] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    # The keys that rows got, by the object they come from.
    keys: dict[str, str] = field(default_factory=dict)
    # The prefixes that contain others.
    holding: set[int] = field(default_factory=set)

    def result(self) -> Mapped:
        """Return all rows, in an order in which what is referred to comes first."""
        self._places()
        self._networks()
        self._hosts()
        self._addresses()
        self.problems += _duplicates(self.wanted)
        return Mapped(tuple(self.wanted), tuple(self.problems), tuple(self.left_out))

    def _add(
        self, kind: str, record: R, fields: Callable[[R], Fields], *, at: str = "", part: bool = False
    ) -> bool:
        """Add the row that a record wants; what its names and values do not allow is a problem."""
        label = _label(record)
        try:
            checked = {name: _value(kind, name, value) for name, value in fields(record).items()}
        except ValueError as error:
            self.problems.append(f"{label}: {error}")
            return False
        one = Wanted(kind, checked, record.source + at, label, part)
        self.wanted.append(one)
        if not part:
            self.keys[one.source] = one.key
        return True

    def _places(self) -> None:
        sites, locations = self.picture.of(Site), self.picture.of(Location)
        racks = self.picture.of(Rack)
        for site in sites.values():
            self._add("idc", site, _idc)
        inner = {one.parent for one in locations.values()} - {one.location for one in racks.values()}
        for place in locations.values():
            if place.id not in inner:
                self._add("room", place, self._room)
        rooms = set(self.keys.values())
        for site_id in sorted({one.site for one in racks.values() if one.location is None}):
            self._lobby(sites[site_id], rooms)
        for rack in racks.values():
            self._add("rack", rack, self._rack)

    def _lobby(self, site: Site, rooms: set[str]) -> None:
        """Want the room for racks without a location, unless a location is called like it."""
        room = f"{self.keys.get(site.source)}/{ROOM}"
        if room in rooms:
            self.keys[f"{site.source}/{ROOM}"] = room
        else:
            self._add("room", site, lambda one: {"idc": self._key(one), "code": ROOM}, at=f"/{ROOM}")

    def _key(self, record: Record, at: str = "") -> str:
        """Return the key of the row of another object; without one, its own problem is told already."""
        if record.source + at not in self.keys:
            raise ValueError(f"it belongs to {_label(record)}, which is refused")
        return self.keys[record.source + at]

    def _room(self, place: Location) -> Fields:
        locations = self.picture.of(Location)
        path, here = [place.slug], place
        while here.parent is not None:
            here = locations[here.parent]
            path.insert(0, here.slug)
        idc = self._key(self.picture.of(Site)[place.site])
        return {"idc": idc, "code": names.code(".".join(path)), "name": place.name}

    def _rack(self, rack: Rack) -> Fields:
        if rack.location is None:
            room = self._key(self.picture.of(Site)[rack.site], f"/{ROOM}")
        else:
            room = self._key(self.picture.of(Location)[rack.location])
        return {"room": room, "code": names.code(rack.name), "units": rack.u_height}

    def _networks(self) -> None:
        for vrf in self.picture.of(Vrf).values():
            self._add("vrf", vrf, _vrf)
        chosen = [one for one in self.picture.of(Prefix).values() if self._is_chosen(one)]
        self.holding = _holding(chosen)
        for prefix in chosen:
            self._add("prefix", prefix, self._prefix)

    def _is_chosen(self, prefix: Prefix) -> bool:
        """Tell whether a prefix belongs to a chosen site, or to none at all."""
        if not self.choice.sites or prefix.scope_type not in ("dcim.site", "dcim.location"):
            return True
        return self._idc(prefix) is not None

    def _idc(self, prefix: Prefix) -> str | None:
        site = prefix.scope_id
        if prefix.scope_type == "dcim.location":
            place = self.picture.of(Location).get(prefix.scope_id or 0)
            site = place.site if place else None
        elif prefix.scope_type != "dcim.site":
            return None
        return self.keys.get(f"{Site.path}/{site}")

    def _prefix(self, prefix: Prefix) -> Fields:
        fields = {
            "cidr": prefix.prefix,
            "vrf": self._vrf(prefix.vrf),
            "aggregate": prefix.id in self.holding or prefix.status == CONTAINER,
            "idc": self._idc(prefix),
        }
        return fields | ({"purpose": names.word(prefix.role)} if prefix.role else {})

    def _vrf(self, number: int | None) -> str | None:
        return None if number is None else self._key(self.picture.of(Vrf)[number])

    def _hosts(self) -> None:
        roles = self.picture.of(DeviceRole)
        hosts = []
        for device in self.picture.of(Device).values():
            if self.choice.roles and roles[device.role].slug not in self.choice.roles:
                continue
            if lacking := _lacking(device):
                self.left_out.append(f"{_label(device)} has no {lacking}")
                continue
            self._model(device)
            if self._add("host", device, self._host):
                hosts.append(device)
        for device in hosts:
            self._units(device)
            self._tags(device)
        for nic in self.picture.of(Interface).values():
            if f"{Device.path}/{nic.device}" in self.keys:
                self._add("nic", nic, self._nic)

    def _model(self, device: Device) -> None:
        """Want the model of a device, once; a NetBox may know thousands that nobody has."""
        model = self.picture.of(DeviceType)[device.device_type]
        if model.source not in self.keys:
            self._add("hardware_model", model, self._hardware)

    def _hardware(self, model: DeviceType) -> Fields:
        maker = self.picture.of(Manufacturer)[model.manufacturer]
        name = names.model(maker.slug, model.slug)
        return {"name": name, "vendor": maker.name, "rack_units": max(1, math.ceil(model.u_height))}

    def _host(self, device: Device) -> Fields:
        role = self.picture.of(DeviceRole)[device.role]
        rack = None if device.rack is None else self._key(self.picture.of(Rack)[device.rack])
        return {
            "name": names.host(device.name or ""),
            "role": names.word(role.slug),
            "rack": rack,
            "model": self._key(self.picture.of(DeviceType)[device.device_type]),
            "serial": device.serial.strip() or None,
            "asset_tag": device.asset_tag or None,
        }

    def _units(self, device: Device) -> None:
        if device.rack is None or device.position is None:
            return
        rack = self.picture.of(Rack)[device.rack]
        height = self.picture.of(DeviceType)[device.device_type].u_height
        lowest = math.floor(device.position)
        place = {"rack": self._key(rack), "host": self._key(device)}
        for unit in range(lowest, max(lowest + 1, math.ceil(device.position + height))):
            number = unit - rack.starting_unit + 1
            self._add("rack_slot", device, partial(_given, {**place, "unit": number}), part=True)

    def _tags(self, device: Device) -> None:
        for number in device.tags:
            tag = self.picture.of(Tag)[number]
            if tag.source not in self.keys:
                self._add("tag", tag, _tag)
            if tag.source in self.keys:
                fields = {"host": self._key(device), "tag": self._key(tag)}
                self._add("host_tag", device, partial(_given, fields), part=True)

    def _nic(self, nic: Interface) -> Fields:
        mac = None if nic.type in BORROWING or not nic.mac_address else mac_address(nic.mac_address)
        speed = (nic.speed or 0) // 1000
        host = self._key(self.picture.of(Device)[nic.device])
        return {"host": host, "name": nic.name, "mac": mac, "speed_mbps": speed or None}

    def _addresses(self) -> None:
        primary = {device.primary_ip: device for device in self.picture.of(Device).values()}
        shared: set[tuple[str, int | None]] = set()
        for address in self.picture.of(Address).values():
            nic = self._nic_of(address)
            owner = primary.get(address.id)
            mine = owner is not None and owner.source in self.keys
            if owner is not None and mine and (nic is None or nic.device != owner.id):
                what = f"{_label(address)}, its primary address, is on another device"
                self.problems.append(f"{_label(owner)}: {what}")
            place = (str(ipaddress.ip_interface(address.address).ip), address.vrf)
            if (nic is None and self.choice.sites) or (address.role in SHARED and place in shared):
                continue
            if address.role in SHARED:
                shared.add(place)
                nic = nic if mine else None
            fields = {"address": place[0], "purpose": PRIMARY if mine else SERVICE}
            self._add("address", address, partial(self._address, fields, nic))

    def _nic_of(self, address: Address) -> Interface | None:
        """Return the interface of a wanted host that an address is on."""
        if address.assigned_object_type != "dcim.interface":
            return None
        nic = self.picture.of(Interface).get(address.assigned_object_id or 0)
        return nic if nic is not None and nic.source in self.keys else None

    def _address(self, fields: Fields, nic: Interface | None, address: Address) -> Fields:
        host = None if nic is None else self._key(self.picture.of(Device)[nic.device])
        where = {"vrf": self._vrf(address.vrf), "host": host, "nic": None if nic is None else self._key(nic)}
        return {**fields, **where}


def _idc(site: Site) -> Fields:
    return {"code": names.code(site.slug), "name": site.name}


def _vrf(vrf: Vrf) -> Fields:
    return {"name": vrf.name}


def _tag(tag: Tag) -> Fields:
    return {"name": tag.slug}


def _given(fields: Fields, _record: Record) -> Fields:
    return fields


def _lacking(device: Device) -> str | None:
    """Return what a device lacks to be a host."""
    if not device.name:
        return "name"
    return "primary address" if device.primary_ip is None else None


def _label(record: Record) -> str:
    """Return how an object is called in messages: its name, and where NetBox has it."""
    known = (getattr(record, name, None) for name in ("name", "model", "prefix", "address"))
    shown = next((str(name) for name in known if name), "")
    return f"{shown} ({record.source})" if shown else record.source


def _value(kind: str, name: str, value: Any) -> Any:
    try:
        return values.checked(kinds()[kind], name, value)
    except ValueError as error:
        raise ValueError(f"{kind.replace('_', ' ')}: {name}: {error}") from None


def _holding(prefixes: Sequence[Prefix]) -> set[int]:
    """Return the ids of the prefixes that contain others of their VRF."""
    found: set[int] = set()
    by_vrf: dict[int | None, list[tuple[Any, int]]] = defaultdict(list)
    for one in prefixes:
        by_vrf[one.vrf].append((ipaddress.ip_network(one.prefix), one.id))
    for known in by_vrf.values():
        outer: list[tuple[Any, int]] = []
        for network, number in sorted(
            known, key=lambda one: (one[0].version, one[0].network_address, one[0].prefixlen)
        ):
            while outer and (outer[-1][0].version != network.version or not network.subnet_of(outer[-1][0])):
                outer.pop()
            if outer and outer[-1][0] != network:
                found.add(outer[-1][1])
            outer.append((network, number))
    return found


def _outer_first(known: tuple[Any, int]) -> tuple[int, Any, int]:
    network, _ = known
    return network.version, network.network_address, network.prefixlen


def _duplicates(wanted: Sequence[Wanted]) -> Iterator[str]:
    """Yield the names that two objects would have."""
    first: dict[tuple[str, str], Wanted] = {}
    for one in wanted:
        other = first.setdefault((one.kind, one.key), one)
        if other.source != one.source:
            name = f"{one.kind.replace('_', ' ')} {one.key}"
            yield f"{other.label} and {one.label} would both be {name}"
