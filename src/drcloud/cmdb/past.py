"""The snapshot of a past moment, built from the documents of the change log.

What was declared then gives the very rows that a reader saw then: the same inventory, the same host keys.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from drcloud.cmdb import edge
from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import HOST_STATES, PRIMARY, fixed_width
from drcloud.cmdb.ipam import SLOTS, port_owner, port_pool
from drcloud.cmdb.selection import GONE, Selection, check_names
from drcloud.cmdb.snapshot import (
    BRIDGE,
    DISK,
    MAINTENANCE,
    TAKES_OVER,
    AppRow,
    HostKeyRow,
    HostRow,
    PlacementRow,
    RegistryRow,
    Snapshot,
    batch_percent,
    in_order,
)

Kinds = Mapping[str, Mapping[str, Document]]


def snapshot(documents: Kinds, seq: int, selection: Selection | None = None) -> Snapshot:
    """Return what ``snapshot.load`` would have read after change ``seq``, of the selected hosts."""
    hosts = _hosts(documents)
    whole = Snapshot(
        seq=seq,
        hosts=hosts,
        host_keys=_host_keys(documents),
        registries=_registries(documents, {row.name: row.address for row in hosts}),
        apps=_apps(documents),
        placements=_placements(documents),
        environments=tuple(row["name"] for row in documents["environment"].values()),
        edge=edge.past(documents),
    )
    if selection is None:
        return whole
    _check(whole, documents, selection)
    return narrow(whole, selection)


def narrow(whole: Snapshot, selection: Selection) -> Snapshot:
    """Return the part of a snapshot that a read of the selected hosts gives."""
    placed = _placed(whole.placements, selection)
    hosts = {row.name: row for row in whole.hosts if _matches(row, selection, placed)}
    pools = [row for row in whole.placements if any(name in hosts for name in row.lbs)]
    around = {name for row in pools for name in row.hosts}
    around |= set(_bastions(hosts.values(), {row.name: row for row in whole.hosts}))
    others = tuple(
        _bare(row)
        for row in whole.hosts
        if row.name in around and row.name not in hosts and row.state != GONE
    )
    read = {*hosts, *(row.name for row in others)}
    return replace(
        whole,
        hosts=tuple(hosts.values()),
        others=others,
        unselected=0 if hosts else len(whole.hosts),
        host_keys=tuple(key for key in whole.host_keys if key.host in read),
        placements=tuple(_touched(whole.placements, hosts, pools)),
    )


def _bare(row: HostRow) -> HostRow:
    """Return a row without what is read of selected hosts only."""
    return replace(row, block_devices=(), bridges=(), addresses=(), tags=(), rack_unit=None)


def _placed(placements: Iterable[PlacementRow], selection: Selection) -> set[str] | None:
    """Return the hosts of the selected apps and environments; None where these do not restrict."""
    if not selection.env and not selection.app:
        return None
    chosen = (
        row
        for row in placements
        if (not selection.env or row.env in selection.env) and (not selection.app or row.app in selection.app)
    )
    return {name for row in chosen for name in (*row.hosts, *row.lbs)}


def _matches(row: HostRow, selection: Selection, placed: set[str] | None) -> bool:
    return (
        (row.state in selection.state if selection.state else row.state != GONE)
        and (not selection.role or row.role in selection.role)
        and (not selection.idc or row.idc in selection.idc)
        and (placed is None or row.name in placed)
    )


def _bastions(hosts: Iterable[HostRow], known: Mapping[str, HostRow]) -> Iterator[str]:
    passed = set()
    for row in hosts:
        via = row.ssh_via
        while via is not None and via not in passed:
            passed.add(via)
            yield via
            via = known[via].ssh_via


def _touched(
    placements: Iterable[PlacementRow], hosts: Mapping[str, Any], pools: Iterable[PlacementRow]
) -> Iterator[PlacementRow]:
    whole = {(row.app, row.env) for row in pools}
    for row in placements:
        members = tuple(name for name in row.hosts if name in hosts or (row.app, row.env) in whole)
        if members or (row.app, row.env) in whole:
            yield replace(
                row,
                hosts=members,
                lbs=tuple(name for name in row.lbs if name in hosts),
                ports={name: row.ports[name] for name in members},
            )


def _check(whole: Snapshot, documents: Kinds, selection: Selection) -> None:
    known = {
        "state": HOST_STATES,
        "idc": documents["idc"],
        "env": whole.environments,
        "app": documents["app"],
        "role": {row.role for row in whole.hosts},
    }
    for name, values in selection.given():
        check_names(name, values, known[name])


def _hosts(documents: Kinds) -> tuple[HostRow, ...]:
    around = _around(documents)
    rows = (_host(name, row, around) for name, row in documents["host"].items())
    return tuple(sorted(rows, key=lambda row: row.name))


def _around(documents: Kinds) -> dict[str, dict[str, list[Any]]]:
    """Return what belongs to each host, by kind and in the order that a read gives."""
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in documents["block_device"].values():
        found["block_device"][row["host"]].append({name: row[name] for name in DISK})
    for _, row in sorted(documents["bridge"].items()):
        found["bridge"][row["host"]].append({name: row[name] for name in BRIDGE})
    for row in sorted(documents["address"].values(), key=_by_address):
        if row["host"] is not None:
            nic = row["nic"] and documents["nic"][row["nic"]]["name"]
            entry = {"address": row["address"], "purpose": row["purpose"], "nic": nic, "vrf": row["vrf"]}
            found["address"][row["host"]].append(entry)
    for row in documents["rack_slot"].values():
        found["rack_slot"][row["host"]].append(row["unit"])
    for row in documents["host_tag"].values():
        found["host_tag"][row["host"]].append(row["tag"])
    return found


def _by_address(row: Document) -> str:
    return fixed_width(ipaddress.ip_address(row["address"]))


def _host(name: str, row: Document, around: Mapping[str, Mapping[str, list[Any]]]) -> HostRow:
    addresses = around["address"].get(name, [])
    primary = [entry["address"] for entry in addresses if entry["purpose"] == PRIMARY]
    idc, room, _ = row["rack"].split("/") if row["rack"] else (None, None, None)
    return HostRow(
        name=name,
        role=row["role"],
        state=row["state"],
        idc=idc,
        room=room,
        rack=row["rack"],
        address=primary[0] if primary else None,
        ssh_user=row["ssh_user"],
        ssh_port=row["ssh_port"],
        ssh_via=row["ssh_via"],
        serial=row["serial"],
        asset_tag=row["asset_tag"],
        attrs=row["attrs"],
        block_devices=in_order(around["block_device"].get(name, ())),
        model=row["model"],
        rack_unit=min(around["rack_slot"].get(name, ()), default=None),
        tags=tuple(sorted(around["host_tag"].get(name, ()))),
        addresses=tuple(addresses),
        bridges=tuple(around["bridge"].get(name, ())),
    )


def _host_keys(documents: Kinds) -> tuple[HostKeyRow, ...]:
    rows = (HostKeyRow(row["host"], row["type"], row["key"]) for row in documents["host_key"].values())
    return tuple(sorted(rows, key=lambda row: (row.host, row.type)))


def _registries(documents: Kinds, addresses: Mapping[str, str | None]) -> tuple[RegistryRow, ...]:
    return tuple(
        RegistryRow(
            name=name,
            endpoint=row["endpoint"] or f"{addresses.get(row['host'])}:{row['port']}",
            username=row["username"],
            password=row["password"],
            ca=row["ca"],
            host=row["host"],
            port=row["port"],
        )
        for name, row in sorted(documents["registry"].items())
    )


def _apps(documents: Kinds) -> tuple[AppRow, ...]:
    specs = {(row["app"], row["number"]): row["document"] for row in documents["app_spec_version"].values()}
    return tuple(
        AppRow(name, row["image_registry"], row["spec_version"], specs[name, row["spec_version"]])
        for name, row in sorted(documents["app"].items())
    )


def _placements(documents: Kinds) -> tuple[PlacementRow, ...]:
    ports = {(row["pool"], row["owner"]): row["value"] for row in documents["allocation"].values()}
    members, lbs = (_ends(documents[kind]) for kind in ("placement_host", "placement_lb"))
    rows = (
        PlacementRow(
            app=row["app"],
            env=row["environment"],
            min_in_service=row["min_in_service"],
            batch=row["batch"],
            lb_port=row["lb_port"],
            hosts=members.get(key, ()),
            lbs=lbs.get(key, ()),
            ports={
                host: _slots(ports, host, row["app"], row["environment"]) for host in members.get(key, ())
            },
            maintenance=row["attrs"].get(MAINTENANCE) is True,
            takes_over=dict(row["attrs"].get(TAKES_OVER) or {}),
            batch_percent=batch_percent(row["attrs"]),
        )
        for key, row in documents["placement"].items()
    )
    return tuple(sorted(rows, key=lambda row: (row.app, row.env)))


def _slots(ports: Mapping[tuple[str, str], int], host: str, app: str, env: str) -> dict[str, int]:
    found = {slot: ports.get((port_pool(host), port_owner(app, env, slot))) for slot in SLOTS}
    return {slot: port for slot, port in found.items() if port is not None}


def _ends(rows: Mapping[str, Document]) -> dict[str, tuple[str, ...]]:
    found = defaultdict(list)
    for row in sorted(rows.values(), key=lambda row: row["position"]):
        found[row["placement"]].append(row["host"])
    return {key: tuple(hosts) for key, hosts in found.items()}
