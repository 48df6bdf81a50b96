"""What must hold across an import file and the CMDB, checked on the state as it would become."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping

from drcloud.cmdb import changes
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import RACK_UNITS, SUBNET_LENGTHS, moment
from drcloud.cmdb.hosts import objection
from drcloud.cmdb.items import Item, PrefixTable, bound
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.state import State
from drcloud.cmdb.yamlfile import Position, Problem, spell

# Fields of which two rows must not share the value; the words describe the clash.
UNIQUE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("host", ("serial",), "serial {serial}"),
    ("host", ("asset_tag",), "asset tag {asset_tag}"),
    ("block_device", ("serial",), "disk serial {serial}"),
    ("block_device", ("wwn",), "disk WWN {wwn}"),
    ("block_device", ("host", "mount"), "mount point {mount} of host {host}"),
    ("block_device", ("host", "uuid"), "file system {uuid} of host {host}"),
    ("bridge", ("host", "nic"), "nic {nic} of host {host}"),
    ("allocation", ("pool", "value"), "{value} of pool {pool}"),
    ("placement_lb", ("host", "port"), "port {port} of load balancer {host}"),
    ("nic", ("mac",), "MAC address {mac}"),
    ("bmc", ("address",), "address {address}"),
    ("vip", ("address",), "address {address}"),
    ("certificate", ("fingerprint",), "fingerprint {fingerprint}"),
    ("lb_pool", ("vip", "port"), "port {port} of VIP {vip}"),
)


def duplicates(items: Iterable[Item]) -> list[Problem]:
    """Return the objects that a file declares twice; what such an object contains is not looked at."""
    first: dict[tuple[str, str], Item] = {}
    problems: dict[Position, Problem] = {}
    for item in items:
        other = first.setdefault((item.kind, item.key), item)
        if other is item or item.position[:2] in problems:
            continue
        name = f"{item.kind.replace('_', ' ')} {item.key}"
        place = item.where("address") if item.kind == "address" else item.position
        problems[item.position] = Problem(
            place, f"{name} is declared twice, first in {spell(other.position)}"
        )
    return list(problems.values())


def all_of(items: list[Item], state: State, final: State) -> Iterator[Problem]:
    """Yield everything that is wrong with the objects of a file."""
    yield from _references(items, final)
    yield from _unique(items, final)
    yield from _overlaps(items, final)
    yield from _placements(items, final)
    yield from _balancing(items, final)
    for item in items:
        if check := _RULES.get(item.kind):
            yield from check(item, state, final)


def _references(items: Iterable[Item], final: State) -> Iterator[Problem]:
    for item in items:
        for name, value in item.fields.items():
            target = kinds()[item.kind].fields[name].target
            if target is not None and value is not None and value not in final[target]:
                hint = meant(str(value), list(final[target])) or "declare it in the file"
                what = target.replace("_", " ")
                yield Problem(
                    item.where(name), f"there is no {what} {value!r} in the file or the CMDB: {hint}"
                )


def _unique(items: list[Item], final: State) -> Iterator[Problem]:
    for kind, names, words in UNIQUE:
        mine = {item.key: item for item in items if item.kind == kind}
        owners: dict[tuple[object, ...], str] = {}
        # Rows that the file does not name come first, so that the file's row is the one to blame.
        for key in sorted(final[kind], key=mine.__contains__):
            fields = final[kind][key]
            value = tuple(fields.get(name) for name in names)
            if None in value:
                continue
            other = owners.setdefault(value, key)
            if other != key and key in mine:
                yield Problem(
                    mine[key].where(names[-1]), f"{words.format(**fields)} belongs to {kind} {other} already"
                )


def _overlaps(items: Iterable[Item], final: State) -> Iterator[Problem]:
    mine = {item.key: item for item in items if item.kind == "prefix"}
    for one, other in PrefixTable(final["prefix"]).overlaps():
        blamed, rest = (other, one) if other in mine else (one, other)
        if blamed in mine:
            yield Problem(
                mine[blamed].where("cidr"),
                f"prefix {blamed} overlaps {rest}: where {one} shall contain others, make it an aggregate",
            )


def _address(item: Item, state: State, final: State) -> Iterator[Problem]:
    if item.fields["prefix"] is None:
        message = f"{item.key} lies in no prefix of the file or the CMDB: add its prefix under `prefixes`"
        yield Problem(item.where("address"), message)
    wanted = final["address"][item.key].get("host")
    if wanted is not None and (wrong := _bound(item.key, final)):
        yield Problem(item.where("address"), f"{wrong}: give host {wanted} another one")
    owner = state["address"].get(item.key, final["address"][item.key]).get("host")
    # A host of the file that gives its address away has another one; any other host would lose its only one.
    if owner is not None and owner != wanted and _is_bare(owner, final):
        yield Problem(item.where("address"), f"{item.key} belongs to host {owner} already")
    nic = final["nic"].get(item.fields.get("nic") or "")
    if nic and nic["host"] != wanted:
        yield Problem(item.where("nic"), f"nic {item.fields['nic']} is not one of host {wanted}")


def _bound(key: str, final: State) -> str | None:
    """Return that an address is one that nobody can have; None for any other."""
    fields = final["address"][key]
    prefix = str(fields.get("prefix"))
    words = bound(fields["address"], prefix, final["prefix"]) if prefix in final["prefix"] else None
    return words and f"{key} is {words} of prefix {prefix}"


def _vip(item: Item, _state: State, final: State) -> Iterator[Problem]:
    address = str(final["vip"][item.key].get("address"))
    if address in final["address"] and (wrong := _bound(address, final)):
        yield Problem(item.where("address"), f"{wrong}: give VIP {item.key} another one")


def _is_bare(owner: str, final: State) -> bool:
    """Tell whether a host would be left without any address; one that goes needs none."""
    return owner in final["host"] and all(fields["host"] != owner for fields in final["address"].values())


def _host(item: Item, state: State, final: State) -> Iterator[Problem]:
    known = state["host"].get(item.key)
    wanted = item.fields.get("state")
    if known and wanted and (wrong := objection(item.key, known["state"], wanted)):
        yield Problem(item.where("state"), wrong)
    if known and known["rack"] != (rack := final["host"][item.key].get("rack")):
        mine = [fields for fields in final["rack_slot"].values() if fields["host"] == item.key]
        if other := next((fields for fields in mine if fields["rack"] != rack), None):
            words = f"host {item.key} occupies unit {other['unit']} of rack {other['rack']}: free that first"
            yield Problem(item.where("rack"), words)
    seen = [item.key]
    via = final["host"][item.key].get("ssh_via")
    while via is not None and via in final["host"]:
        if via in seen:
            message = f"host {item.key} would be reached through itself: {' → '.join([*seen, via])}"
            yield Problem(item.where("ssh_via"), message)
            return
        seen.append(via)
        via = final["host"][via].get("ssh_via")


def _rack_slot(item: Item, _state: State, final: State) -> Iterator[Problem]:
    rack, unit, host = (item.fields[name] for name in ("rack", "unit", "host"))
    if rack is None:
        yield Problem(item.where("unit"), f"host {host} stands in no rack: give it one as idc/room/rack")
        return
    height = final["rack"].get(rack, {}).get("units", RACK_UNITS)
    if unit > height:
        yield Problem(item.where("unit"), f"rack {rack} has {height} units, unit {unit} lies above them")
    place = final["host"].get(host, {}).get("rack")
    if host in final["host"] and place != rack:
        where = f"in rack {place}" if place else "in no rack"
        yield Problem(item.where("rack"), f"host {host} stands {where} and cannot occupy a unit of {rack}")


def _rack(item: Item, state: State, final: State) -> Iterator[Problem]:
    units = item.fields.get("units", RACK_UNITS)
    if units >= state["rack"].get(item.key, {}).get("units", RACK_UNITS):
        return
    taken = [fields["unit"] for fields in final["rack_slot"].values() if fields["rack"] == item.key]
    if taken and max(taken) > units:
        words = f"unit {max(taken)} of rack {item.key} is occupied: it cannot have only {units}"
        yield Problem(item.where("units"), words)


def _prefix(item: Item, state: State, final: State) -> Iterator[Problem]:
    fields = final["prefix"][item.key]
    vlan = final["vlan"].get(fields.get("vlan") or "")
    if vlan and fields.get("idc") and vlan["idc"] != fields["idc"]:
        words = f"VLAN {fields['vlan']} is one of IDC {vlan['idc']}, the prefix is in {fields['idc']}"
        yield Problem(item.where("vlan"), words)
    known = state["prefix"].get(item.key)
    if known and fields.get("aggregate") and not known["aggregate"]:
        inside = (key for key, one in final["address"].items() if one["prefix"] == item.key)
        if (left := next(inside, None)) is not None:
            words = f"address {left} would lie in an aggregate only: declare a prefix inside for it"
            yield Problem(item.where("aggregate"), f"{words}, and the address again")


def _change(item: Item, state: State, final: State) -> Iterator[Problem]:
    known = state["change"].get(item.key)
    wanted = item.fields.get("state")
    if known and wanted and (wrong := changes.objection(item.key, known["state"], wanted)):
        yield Problem(item.where("state"), wrong)
    start, end = (final["change"][item.key].get(name) for name in ("window_start", "window_end"))
    if (start is None) != (end is None):
        missing = "window_start" if start is None else "window_end"
        yield Problem(item.where(missing), f"a window has two ends: {missing} is missing")
    elif start and end and moment(end) <= moment(start):
        yield Problem(item.where("window_end"), f"the window ends at {end}, before it begins at {start}")


def _block_device(item: Item, _state: State, final: State) -> Iterator[Problem]:
    if not any(item.fields.get(name) for name in ("serial", "wwn", "path")):
        yield Problem(item.position, "a block device needs a serial, a wwn or a path")
    fields = final["block_device"][item.key]
    purpose = fields["purpose"]
    if fields.get("mount") and purpose != "app-volume":
        words = f"only an app-volume is mounted where the CMDB says, {item.key} has the purpose {purpose}"
        yield Problem(item.where("mount"), words)
    if fields.get("filesystem") and purpose in ("raw", "spare"):
        words = f"a disk of the purpose {purpose} gets no file system, as {item.key} would"
        yield Problem(item.where("filesystem"), words)


def _bridge(item: Item, _state: State, final: State) -> Iterator[Problem]:
    fields = final["bridge"][item.key]
    uplink = fields["mode"] == "uplink"
    if uplink and not fields.get("nic"):
        yield Problem(item.where("nic"), f"bridge {item.key} is an uplink: say which nic it takes over")
    if not uplink and fields.get("nic"):
        yield Problem(item.where("nic"), f"bridge {item.key} is of mode nat and takes over no nic")
    if uplink and not fields.get("containers"):
        words = f"bridge {item.key} is an uplink: say which aggregate its containers' addresses come from"
        yield Problem(item.where("containers"), words)
    if fields.get("containers"):
        whole = ipaddress.ip_network(fields["containers"])
        length = fields.get("length") or SUBNET_LENGTHS[fields["mode"]]
        if not whole.prefixlen < length <= whole.max_prefixlen:
            yield Problem(
                item.where("length"), f"{whole} has no subnets of length /{length}: say which it has"
            )
    if fields.get("ipv6") and ipaddress.ip_network(fields["ipv6"]).version != 6:
        yield Problem(item.where("ipv6"), f"{fields['ipv6']} is no IPv6 prefix")


def _registry(item: Item, _state: State, final: State) -> Iterator[Problem]:
    fields = final["registry"][item.key]
    if not fields.get("host") and not fields.get("endpoint"):
        yield Problem(item.position, f"registry {item.key} needs a host or an endpoint")


def _app(item: Item, _state: State, final: State) -> Iterator[Problem]:
    if "image_registry" not in final["app"][item.key]:
        what = "say which" if final["registry"] else "declare one under `registries`"
        yield Problem(item.where("image_registry"), f"app {item.key} needs a registry: {what}")


def _kept(item: Item, state: State, _final: State) -> Iterator[Problem]:
    known = state[item.kind].get(item.key)
    if known and known["document"] != item.fields["document"]:
        what = "specification" if item.kind == "app_spec_version" else "configuration"
        words = f"{what} {item.key} is another one and never changes: leave the number out to make the next"
        yield Problem(item.where("document"), words)


def _spec(item: Item, state: State, final: State) -> Iterator[Problem]:
    yield from _kept(item, state, final)
    for name in item.fields["document"]["overrides"]:
        if name not in final["environment"]:
            hint = meant(name, list(final["environment"])) or "declare it under `environments`"
            place = (*item.where("document"), "overrides", name)
            yield Problem(place, f"there is no environment {name!r} in the file or the CMDB: {hint}")


def _placements(items: Iterable[Item], final: State) -> Iterator[Problem]:
    mine = [item for item in items if item.kind == "placement"]
    hosts, lbs = (_by_placement(final[kind]) if mine else {} for kind in ("placement_host", "placement_lb"))
    for item in mine:
        count = len(hosts.get(item.key, ()))
        floor = final["placement"][item.key].get("min_in_service", 0)
        if floor > count:
            message = f"{floor} instances cannot stay in service on {count} hosts: lower it or add hosts"
            yield Problem(item.where("min_in_service"), message)
        if any(lb["port"] is None for lb in lbs.get(item.key, ())):
            yield Problem(item.position, f"placement {item.key} has load balancers and needs lb_port")


def _by_placement(rows: Mapping[str, Fields]) -> dict[str, list[Fields]]:
    found: dict[str, list[Fields]] = {}
    for fields in rows.values():
        found.setdefault(fields["placement"], []).append(fields)
    return found


def _balancing(items: Iterable[Item], final: State) -> Iterator[Problem]:
    """Yield what load balancers could not serve: a VIP without a router's number, a pool of two modes."""
    mine = [item for item in items if item.kind in ("vip", "lb_pool")]
    carried = {fields["vip"] for fields in final["vip_lb"].values()} if mine else set()
    modes: dict[str, set[str]] = {}
    for fields in final["lb_pool"].values() if mine else ():
        if fields.get("placement"):
            modes.setdefault(fields["placement"], set()).add(fields.get("mode", "http"))
    for item in mine:
        fields = final[item.kind][item.key]
        if item.kind == "vip":
            if item.key in carried and not fields.get("vrrp_id"):
                yield Problem(item.where("vrrp_id"), f"VIP {item.key} has load balancers and needs vrrp_id")
        elif len(modes.get(fields.get("placement") or "", ())) > 1:
            words = f"the pools of placement {fields['placement']} must have one mode, http or tcp"
            yield Problem(item.where("mode"), words)


def _with_role(role: str, use: str) -> Callable[[Item, State, State], Iterator[Problem]]:
    def check(item: Item, _state: State, final: State) -> Iterator[Problem]:
        host = final["host"].get(item.fields["host"])
        if host is not None and host["role"] != role:
            name = item.fields["host"]
            yield Problem(
                item.position, f"host {name} has the role {host['role']}: {use} needs the role {role}"
            )

    return check


_RULES: dict[str, Callable[[Item, State, State], Iterator[Problem]]] = {
    "rack": _rack,
    "rack_slot": _rack_slot,
    "prefix": _prefix,
    "address": _address,
    "change": _change,
    "app_config": _kept,
    "host": _host,
    "block_device": _block_device,
    "bridge": _bridge,
    "registry": _registry,
    "app": _app,
    "app_spec_version": _spec,
    "vip": _vip,
    "placement_host": _with_role("docker", "an instance"),
    "placement_lb": _with_role("lb", "a load balancer"),
    "vip_lb": _with_role("lb", "a VIP"),
}
