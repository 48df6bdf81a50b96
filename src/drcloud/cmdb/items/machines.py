"""A host of an import file as rows: the host, its addresses, ports, bridges, BMC, disks, keys and tags."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.document import HostEntry
from drcloud.cmdb.importfile import Position
from drcloud.cmdb.items.item import Item, here
from drcloud.cmdb.items.prefixes import PrefixTable
from drcloud.cmdb.natural import join_key, kinds

BMC = "bmc"
_DISK = ("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app", "attrs")
_BRIDGE = ("name", "mode", "nic", "containers", "length", "mtu", "ipv6", "attrs")
# Where the fields of a host's own address stand.
_ADDRESS: Mapping[str, Position] = {
    "host": ("name",),
    "prefix": ("address",),
    "purpose": (),
    "vrf": ("address",),
}


def host_items(
    host: HostEntry, position: Position, prefixes: PrefixTable, free: Container[str]
) -> Iterator[Item]:
    """Yield the rows of a host; ``free`` are the addresses that the file declares without a host."""
    fields = host.said("name", "role", "model", "rack", "state", "serial", "asset_tag", "attrs")
    ssh = host.ssh.said("user", "port", "via")
    fields |= {f"ssh_{name}": value for name, value in ssh.items()}
    at: dict[str, Position] = {f"ssh_{name}": ("ssh", name) for name in ssh}
    yield Item("host", host.name, fields, position, at)
    for number, nic in enumerate(host.nics):
        values = nic.said("name", "mac", "speed_mbps", "attrs")
        place = (*position, "nics", number)
        yield Item("nic", f"{host.name}/{nic.name}", {"host": host.name, **values}, place, here(("host",)))
    known = list(_addresses(host, position, prefixes))
    yield from known
    yield from _bmc(host, position, prefixes, {item.key for item in known}, free)
    yield from _parts(host, position)


def _addresses(host: HostEntry, position: Position, prefixes: PrefixTable) -> Iterator[Item]:
    if host.address is not None:
        fields = _address(host.address, host.name, prefixes)
        if "nic" in host.model_fields_set:
            fields["nic"] = host.nic and f"{host.name}/{host.nic}"
        yield Item("address", host.address, fields, position, _ADDRESS)
    for number, entry in enumerate(host.addresses):
        said = entry.said("vrf", "purpose", "nic", "attrs")
        key = join_key(kinds()["address"], {"address": entry.address, "vrf": entry.vrf}.get)
        fields = _address(key, host.name, prefixes) | said
        if entry.nic:
            fields["nic"] = f"{host.name}/{entry.nic}"
        place = (*position, "addresses", number)
        yield Item("address", key, fields, place, {"host": (), "prefix": ("address",)})


def _address(key: str, host: str, prefixes: PrefixTable, purpose: str = PRIMARY) -> Fields:
    """Return the fields of an address of a host; one of the default VRF says nothing of it."""
    address, _, vrf = key.partition("@")
    fields: Fields = {"address": address, "host": host, "prefix": prefixes.find(address, vrf or None)}
    return fields | ({"vrf": vrf} if vrf else {}) | {"purpose": purpose}


def _bmc(
    host: HostEntry, position: Position, prefixes: PrefixTable, mine: Container[str], free: Container[str]
) -> Iterator[Item]:
    """Yield the BMC, and its address unless that stands elsewhere in the file."""
    if host.bmc is None:
        return
    place = (*position, "bmc")
    key = host.bmc.address
    if key not in mine and key not in free:
        fields = _address(key, host.name, prefixes, BMC)
        yield Item("address", key, fields, place, {**here(fields), "address": ("address",)})
    values = host.bmc.said("address", "type", "credential", "attrs")
    yield Item("bmc", host.name, {"host": host.name, **values}, place, here(("host",)))


def _parts(host: HostEntry, position: Position) -> Iterator[Item]:
    for number, disk in enumerate(host.block_devices):
        values = disk.said(*_DISK)
        key = f"{host.name}:{disk.serial or disk.wwn or disk.path or ''}"
        place = (*position, "block_devices", number)
        yield Item("block_device", key, {"host": host.name, **values}, place, here(("host",)))
    for number, bridge in enumerate(host.bridges):
        values = bridge.said(*_BRIDGE)
        place = (*position, "bridges", number)
        yield Item(
            "bridge", f"{host.name}/{bridge.name}", {"host": host.name, **values}, place, here(("host",))
        )
    for kind, text in host.host_keys.items():
        fields = {"host": host.name, "type": kind, "key": text}
        yield Item("host_key", f"{host.name}/{kind}", fields, (*position, "host_keys", kind), here(fields))
    for number, tag in enumerate(host.tags):
        fields = {"host": host.name, "tag": tag}
        yield Item("host_tag", f"{host.name}/{tag}", fields, (*position, "tags", number), here(fields))
