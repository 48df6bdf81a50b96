"""Export of the CMDB as an import file; importing it into an empty CMDB gives the same again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from drcloud.cmdb import state as states
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.document import FORMAT
from drcloud.cmdb.state import State
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError


def export(store: Store) -> str:
    """Return the CMDB as YAML text."""
    with store.read() as session:
        document = build(states.load(session).documents)
    text: str = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)
    return text


class _Dumper(yaml.SafeDumper):
    """A dumper that writes equal values out instead of pointing from one to the other."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def build(state: State) -> dict[str, Any]:
    """Return the import document of a declared state; empty sections and fields are left out."""
    sections: dict[str, list[Fields]] = {
        "idcs": [_idc(key, fields, state) for key, fields in state["idc"].items()],
        "environments": [_some(fields, "name", "attrs") for fields in state["environment"].values()],
        "prefixes": [_some(fields, "cidr", "idc", "purpose", "attrs") for fields in state["prefix"].values()],
        "registries": [_some(fields, *_REGISTRY) for fields in state["registry"].values()],
        "hosts": _hosts(state),
        "apps": [_app(name, fields, state) for name, fields in state["app"].items()],
        "placements": [_placement(key, fields, state) for key, fields in state["placement"].items()],
        "allocations": [_some(fields, "pool", "owner", "value") for fields in state["allocation"].values()],
        "releases": [_some(fields, *_RELEASE) for fields in state["release"].values()],
        "channels": [_channel(fields, state) for fields in state["channel"].values()],
        "schedules": [_some(fields, *_SCHEDULE) for fields in state["schedule"].values()],
    }
    return {"drcloud": FORMAT, **{name: entries for name, entries in sections.items() if entries}}


_REGISTRY = ("name", "host", "endpoint", "port", "username", "password", "ca", "attrs")
_RELEASE = ("app", "tag", "digest", "git_ref", "build", "attrs")
_SCHEDULE = ("name", "playbook", "calendar", "inventory", "attrs")
_BLOCK_DEVICE = ("path", "serial", "wwn", "purpose", "attrs")


def _some(fields: Mapping[str, Any], *names: str) -> Fields:
    """Return the named fields that are not empty."""
    return {name: fields[name] for name in names if fields[name] not in (None, "", {})}


def _by(rows: Iterable[Fields], owner: str) -> dict[str, list[Fields]]:
    grouped: dict[str, list[Fields]] = defaultdict(list)
    for fields in rows:
        grouped[fields[owner]].append(fields)
    return grouped


def _idc(key: str, fields: Fields, state: State) -> Fields:
    rooms = [(name, room) for name, room in state["room"].items() if room["idc"] == key]
    return (
        _some(fields, "code", "name")
        | ({"rooms": [_room(name, room, state) for name, room in rooms]} if rooms else {})
        | _some(fields, "attrs")
    )


def _room(key: str, fields: Fields, state: State) -> Fields:
    racks = [rack["code"] for rack in state["rack"].values() if rack["room"] == key]
    return _some(fields, "code", "name") | {"racks": racks} | _some(fields, "attrs")


def _hosts(state: State) -> list[Fields]:
    addresses = {
        fields["host"]: fields["address"]
        for fields in state["address"].values()
        if fields["purpose"] == PRIMARY
    }
    disks = _by(state["block_device"].values(), "host")
    keys = _by(state["host_key"].values(), "host")
    if bare := [name for name in state["host"] if name not in addresses]:
        raise InvalidInputError(f"host {bare[0]} has no address and cannot be exported: give it one first")
    return [
        _some(fields, "name", "role", "rack", "state")
        | {"address": addresses[name], "ssh": _ssh(fields)}
        | ({"block_devices": [_some(disk, *_BLOCK_DEVICE) for disk in disks[name]]} if name in disks else {})
        | ({"host_keys": {key["type"]: key["key"] for key in keys[name]}} if name in keys else {})
        | _some(fields, "serial", "asset_tag", "attrs")
        for name, fields in state["host"].items()
    ]


def _ssh(fields: Fields) -> Fields:
    return {
        name: fields[f"ssh_{name}"] for name in ("user", "port", "via") if fields[f"ssh_{name}"] is not None
    }


def _app(name: str, fields: Fields, state: State) -> Fields:
    stored = state["app_spec_version"][f"{name}/{fields['spec_version']}"]["document"]
    spec = AppSpec.model_validate(stored).model_dump(mode="json", exclude_defaults=True)
    return {"name": name, "registry": fields["image_registry"], "spec": spec} | _some(fields, "attrs")


def _placement(key: str, fields: Fields, state: State) -> Fields:
    def members(kind: str) -> list[str]:
        rows = [row for row in state[kind].values() if row["placement"] == key]
        return [row["host"] for row in sorted(rows, key=lambda row: int(row["position"]))]

    lbs = members("placement_lb")
    return (
        {"app": fields["app"], "env": fields["environment"], "hosts": members("placement_host")}
        | _some(fields, "min_in_service", "batch", "lb_port")
        | ({"lbs": lbs} if lbs else {})
        | _some(fields, "attrs")
    )


def _channel(fields: Fields, state: State) -> Fields:
    release = state["release"][fields["release"]]
    return {
        "app": fields["app"],
        "tag": fields["tag"],
        "release": release["tag"],
        "digest": release["digest"],
    }
