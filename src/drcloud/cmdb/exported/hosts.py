"""Hosts and what is part of them as entries of an import file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.exported.entry import by, some
from drcloud.cmdb.items.machines import BMC
from drcloud.cmdb.state import State

_BLOCK_DEVICE = ("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "app", "attrs")
_BRIDGE = ("name", "mode", "nic", "containers", "length", "mtu", "ipv6", "attrs")
_PARTS = ("address", "rack_slot", "nic", "bridge", "bmc", "block_device", "host_key", "host_tag")


def entries(state: State) -> Iterator[Fields]:
    """Yield the hosts."""
    parts = {kind: by(state[kind].values(), "host") for kind in _PARTS}
    for name, fields in state["host"].items():
        yield _host(fields, {kind: rows.get(name, []) for kind, rows in parts.items()}, state)


def _host(fields: Fields, parts: Mapping[str, list[Fields]], state: State) -> Fields:
    managed = [_reached(one) for one in parts["address"] if one["purpose"] == PRIMARY]
    lists = {
        "addresses": _further(parts),
        "nics": [some(one, "name", "mac", "speed_mbps", "attrs") for one in parts["nic"]],
        "bridges": [some(one, *_BRIDGE) for one in parts["bridge"]],
        "bmc": _bmc(parts["bmc"]),
        "ssh": _ssh(fields),
        "block_devices": [some(disk, *_BLOCK_DEVICE) for disk in parts["block_device"]],
        "host_keys": {key["type"]: key["key"] for key in parts["host_key"]},
        "tags": [one["tag"] for one in parts["host_tag"]],
    }
    return (
        some(fields, "name", "role", "model", "rack")
        | _stand(fields, parts["rack_slot"], state)
        | {"state": fields["state"], **(managed[0] if managed else {"address": None})}
        | some(lists, *lists)
        | some(fields, "serial", "asset_tag", "attrs")
    )


def _reached(address: Fields) -> Fields:
    """Return the management address, and the port that carries it."""
    return {"address": _key(address)} | ({"nic": _short(address["nic"])} if address["nic"] else {})


def _key(address: Fields) -> str:
    return f"{address['address']}@{address['vrf']}" if address["vrf"] else str(address["address"])


def _short(nic: str) -> str:
    """Return the name of a port without its host's, which has no slash in it."""
    return nic.partition("/")[2]


def _stand(fields: Fields, slots: list[Fields], state: State) -> Fields:
    """Return the lowest unit where the model tells the rest, else all units."""
    units = sorted(int(slot["unit"]) for slot in slots)
    if not units:
        return {}
    height = state["hardware_model"][fields["model"]]["rack_units"] if fields["model"] else 1
    whole = units == list(range(units[0], units[0] + height))
    return {"unit": units[0]} if whole else {"units": units}


def _further(parts: Mapping[str, list[Fields]]) -> list[Fields]:
    """Return the addresses that neither the host's nor its BMC's entry makes by itself."""
    implied = {bmc["address"] for bmc in parts["bmc"]}
    return [
        some(one, "address", "vrf", "purpose")
        | ({"nic": _short(one["nic"])} if one["nic"] else {})
        | some(one, "attrs")
        for one in parts["address"]
        if one["purpose"] != PRIMARY and not (_key(one) in implied and _is_bare(one))
    ]


def _is_bare(address: Fields) -> bool:
    return address["purpose"] == BMC and not address["nic"] and not address["attrs"]


def _bmc(rows: list[Fields]) -> Fields | None:
    return some(rows[0], "address", "type", "credential", "attrs") if rows else None


def _ssh(fields: Mapping[str, Any]) -> Fields:
    return {
        name: fields[f"ssh_{name}"] for name in ("user", "port", "via") if fields[f"ssh_{name}"] is not None
    }
