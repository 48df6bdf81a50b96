"""Export of the CMDB as an import file; importing it into an empty CMDB gives the same again."""

from __future__ import annotations

import typing
from typing import Any

import yaml

from drcloud.cmdb import state as states
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import RACK_UNITS
from drcloud.cmdb.document import FORMAT, AddressEntry, AppConfigEntry, Document, PartAttrsEntry
from drcloud.cmdb.exported import hosts
from drcloud.cmdb.exported.entry import by, entry, entry_of, some
from drcloud.cmdb.items import notes
from drcloud.cmdb.items.flat import PLAIN
from drcloud.cmdb.snapshot import BATCH_PERCENT, batch_percent
from drcloud.cmdb.state import State
from drcloud.cmdb.store import Store


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
        "addresses": _free_addresses(state),
        "hosts": list(hosts.entries(state)),
        "apps": [_app(name, fields, state) for name, fields in state["app"].items()],
        "app_spec_versions": _former_specs(state),
        "app_configs": [entry(AppConfigEntry, fields) for fields in state["app_config"].values()],
        "placements": _placements(state),
        "vips": _vips(state),
        notes.SECTION: _notes(state),
        "channels": [_channel(fields, state) for fields in state["channel"].values()],
    }
    for section, kind in PLAIN.items():
        if section not in sections:
            sections[section] = [entry(entry_of(section), fields) for fields in state[kind].values()]
    named = ((name, sections.get(name)) for name in Document.model_fields)
    return {"drcloud": FORMAT, **{name: entries for name, entries in named if entries}}


def _idc(key: str, fields: Fields, state: State) -> Fields:
    rooms = [(name, room) for name, room in state["room"].items() if room["idc"] == key]
    return (
        some(fields, "code", "name")
        | ({"rooms": [_room(name, room, state) for name, room in rooms]} if rooms else {})
        | some(fields, "attrs")
    )


def _room(key: str, fields: Fields, state: State) -> Fields:
    racks = [_rack(rack) for rack in state["rack"].values() if rack["room"] == key]
    return some(fields, "code", "name") | {"racks": racks} | some(fields, "attrs")


def _rack(fields: Fields) -> Fields | str:
    usual = fields["units"] == RACK_UNITS and not fields["attrs"]
    return str(fields["code"]) if usual else some(fields, "code", "units", "attrs")


def _free_addresses(state: State) -> list[Fields]:
    return [entry(AddressEntry, fields) for fields in state["address"].values() if fields["host"] is None]


def _app(name: str, fields: Fields, state: State) -> Fields:
    number = fields["spec_version"]
    stored = state["app_spec_version"][f"{name}/{number}"]["document"]
    return (
        {"name": name, "registry": fields["image_registry"]}
        | ({"spec_version": number} if number != 1 else {})
        | {"spec": _spec(stored)}
        | some(fields, "attrs")
    )


def _former_specs(state: State) -> list[Fields]:
    """Return the specifications that are not the present ones."""
    return [
        {"app": fields["app"], "number": fields["number"], "document": _spec(fields["document"])}
        | some(fields, "attrs")
        for fields in state["app_spec_version"].values()
        if fields["number"] != state["app"][fields["app"]]["spec_version"]
    ]


def _spec(stored: Fields) -> Fields:
    return AppSpec.model_validate(stored).model_dump(mode="json", exclude_defaults=True)


def _notes(state: State) -> list[Fields]:
    """Return the free fields of the parts that have no entry of their own."""
    return [
        {"kind": kind, "key": key, "attrs": fields["attrs"]}
        for kind in typing.get_args(PartAttrsEntry.model_fields["kind"].annotation)
        for key, fields in state[kind].items()
        if fields["attrs"]
    ]


def _placements(state: State) -> list[Fields]:
    members, lbs = (by(state[kind].values(), "placement") for kind in ("placement_host", "placement_lb"))
    return [
        {"app": fields["app"], "env": fields["environment"], "hosts": _names(members[key])}
        | some(_with_share(fields), "min_in_service", "batch", "lb_port")
        | ({"lbs": _names(lbs[key])} if key in lbs else {})
        | some(_with_share(fields), "attrs")
        for key, fields in state["placement"].items()
    ]


def _with_share(fields: Fields) -> Fields:
    """Return the fields of a placement with a batch that is a share of its hosts written as one."""
    percent = batch_percent(fields["attrs"])
    if percent is None:
        return fields
    attrs = {name: value for name, value in fields["attrs"].items() if name != BATCH_PERCENT}
    return {**fields, "batch": f"{percent}%", "attrs": attrs}


def _names(rows: list[Fields]) -> list[str]:
    return [row["host"] for row in sorted(rows, key=lambda row: int(row["position"]))]


def _vips(state: State) -> list[Fields]:
    lbs = by(state["vip_lb"].values(), "vip")
    return [
        some(fields, "name", "address", "vrrp_id")
        | ({"lbs": _names(lbs[name])} if name in lbs else {})
        | some(fields, "attrs")
        for name, fields in state["vip"].items()
    ]


def _channel(fields: Fields, state: State) -> Fields:
    release = state["release"][fields["release"]]
    return {
        "app": fields["app"],
        "tag": fields["tag"],
        "release": release["tag"],
        "digest": release["digest"],
    } | some(fields, "attrs")
