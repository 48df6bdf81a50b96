"""What must hold across an import file and the CMDB, checked on the state as it would become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.hosts import objection
from drcloud.cmdb.items import Item, PrefixTable
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
    ("allocation", ("pool", "value"), "{value} of pool {pool}"),
    ("placement_lb", ("host", "port"), "port {port} of load balancer {host}"),
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
    owner = state["address"].get(item.key, item.fields)["host"]
    # A host of the file that gives its address away has another one; any other host would lose its only one.
    if owner != item.fields["host"] and _is_bare(owner, final):
        yield Problem(item.where("address"), f"{item.key} belongs to host {owner} already")


def _is_bare(owner: str, final: State) -> bool:
    """Tell whether a host would be left without any address; one that goes needs none."""
    return owner in final["host"] and all(fields["host"] != owner for fields in final["address"].values())


def _host(item: Item, state: State, final: State) -> Iterator[Problem]:
    known = state["host"].get(item.key)
    wanted = item.fields.get("state")
    if known and wanted and (wrong := objection(item.key, known["state"], wanted)):
        yield Problem(item.where("state"), wrong)
    seen = [item.key]
    via = final["host"][item.key].get("ssh_via")
    while via is not None and via in final["host"]:
        if via in seen:
            message = f"host {item.key} would be reached through itself: {' → '.join([*seen, via])}"
            yield Problem(item.where("ssh_via"), message)
            return
        seen.append(via)
        via = final["host"][via].get("ssh_via")


def _block_device(item: Item, _state: State, _final: State) -> Iterator[Problem]:
    if not any(item.fields.get(name) for name in ("serial", "wwn", "path")):
        yield Problem(item.position, "a block device needs a serial, a wwn or a path")


def _registry(item: Item, _state: State, final: State) -> Iterator[Problem]:
    fields = final["registry"][item.key]
    if not fields.get("host") and not fields.get("endpoint"):
        yield Problem(item.position, f"registry {item.key} needs a host or an endpoint")


def _app(item: Item, _state: State, final: State) -> Iterator[Problem]:
    if "image_registry" not in final["app"][item.key]:
        what = "say which" if final["registry"] else "declare one under `registries`"
        yield Problem(item.where("image_registry"), f"app {item.key} needs a registry: {what}")


def _spec(item: Item, _state: State, final: State) -> Iterator[Problem]:
    for name in item.fields["document"]["overrides"]:
        if name not in final["environment"]:
            hint = meant(name, list(final["environment"])) or "declare it under `environments`"
            place = (*item.position, "overrides", name)
            yield Problem(place, f"there is no environment {name!r} in the file or the CMDB: {hint}")


def _placement(item: Item, _state: State, final: State) -> Iterator[Problem]:
    hosts = _of(final["placement_host"], item.key)
    floor = final["placement"][item.key].get("min_in_service", 0)
    if floor > len(hosts):
        message = f"{floor} instances cannot stay in service on {len(hosts)} hosts: lower it or add hosts"
        yield Problem(item.where("min_in_service"), message)
    if any(lb["port"] is None for lb in _of(final["placement_lb"], item.key)):
        yield Problem(item.position, f"placement {item.key} has load balancers and needs lb_port")


def _of(rows: Mapping[str, Fields], placement: str) -> list[Fields]:
    return [fields for fields in rows.values() if fields["placement"] == placement]


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
    "address": _address,
    "host": _host,
    "block_device": _block_device,
    "registry": _registry,
    "app": _app,
    "app_spec_version": _spec,
    "placement": _placement,
    "placement_host": _with_role("docker", "an instance"),
    "placement_lb": _with_role("lb", "a load balancer"),
}
