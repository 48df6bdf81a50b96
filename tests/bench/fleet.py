"""A CMDB with a sample of any size, for measuring: what `drcloud cmdb import` would hold, without its log.

The importer reads, checks and logs some ten entities for each host, which is a minute or two for 50,000. So
it gets the frame of the sample only (places, networks, apps, the special hosts). Hosts of the common roles
and placements are inserted in bulk, in rows that give the very inventory that the importer's rows give.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from drcloud.cmdb import importer, sample
from drcloud.cmdb.declared import (
    Address,
    Allocation,
    App,
    BlockDevice,
    Environment,
    HardwareModel,
    Host,
    HostTag,
    Placement,
    PlacementHost,
    PlacementLb,
    Prefix,
    Rack,
    Room,
    Tag,
)
from drcloud.cmdb.declared.columns import fixed_width
from drcloud.cmdb.ipam import SLOTS, port_owner, port_pool
from drcloud.cmdb.store import Store

COMMON = {"docker", "database"}
FIRST_PORT = 20000


def fill(url: str, hosts: int, seed: int = 1) -> None:
    """Make the CMDB and fill it with the sample of so many hosts."""
    sections = sample.build(hosts, seed)
    frame = {name: entries for name, entries in sections.items() if name != "placements"}
    frame["hosts"] = [host for host in sections["hosts"] if host["role"] not in COMMON]
    store = Store.create(url)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "frame.yml"
        path.write_text(sample.text(frame), encoding="utf-8")
        importer.import_files(store, importer.Request((path,)))
    # Not through the store: it refuses bulk writes, for they are not logged.
    with Session(create_engine(store.url)) as session, session.begin():
        common = [host for host in sections["hosts"] if host["role"] in COMMON]
        _insert_hosts(session, common)
        _insert_placements(session, sections["placements"])


def _insert_hosts(session: Session, hosts: list[dict[str, Any]]) -> None:
    racks = _racks(session)
    names, models = _ids(session, Host.name), _ids(session, HardwareModel.name)
    rows = [
        {
            "name": host["name"],
            "role": host["role"],
            "state": "planned",
            "rack_id": racks[host["rack"]],
            "model_id": models[host["model"]],
            "serial": host["serial"],
            "asset_tag": host["asset_tag"],
            "ssh_user": host["ssh"]["user"],
            "ssh_port": 22,
            "ssh_via_id": names[host["ssh"]["via"]],
            "attrs": host["attrs"],
        }
        for host in hosts
    ]
    session.execute(insert(Host), rows)
    names = _ids(session, Host.name)
    session.execute(insert(Address), list(_addresses(session, hosts, names)))
    disks = [
        {"host_id": names[host["name"]], "path": None, "wwn": None, **disk}
        for host in hosts
        for disk in host.get("block_devices", ())
    ]
    session.execute(insert(BlockDevice), disks)
    tags = _ids(session, Tag.name)
    tagged = [
        {"host_id": names[host["name"]], "tag_id": tags[tag]}
        for host in hosts
        for tag in host.get("tags", ())
    ]
    session.execute(insert(HostTag), tagged)


def _addresses(
    session: Session, hosts: list[dict[str, Any]], names: dict[str, int]
) -> Iterator[dict[str, Any]]:
    prefixes = {
        ipaddress.ip_network(row.cidr): row for row in session.scalars(select(Prefix)) if not row.aggregate
    }
    for host in hosts:
        address = ipaddress.ip_address(host["address"])
        prefix = prefixes[ipaddress.ip_network(f"{address}/22", strict=False)]
        yield {
            "address": str(address),
            "value": fixed_width(address),
            "prefix_id": prefix.id,
            "prefix_first": prefix.first,
            "prefix_last": prefix.last,
            "host_id": names[host["name"]],
        }


def _insert_placements(session: Session, placements: list[dict[str, Any]]) -> None:
    hosts, apps, envs = (_ids(session, column) for column in (Host.name, App.name, Environment.name))
    rows = [
        {
            "app_id": apps[one["app"]],
            "environment_id": envs[one["env"]],
            **{name: one[name] for name in ("min_in_service", "batch", "lb_port")},
        }
        for one in placements
    ]
    session.execute(insert(Placement), rows)
    ids = {(row.app_id, row.environment_id): row.id for row in session.scalars(select(Placement))}
    members, lbs, ports = [], [], []
    taken = dict.fromkeys(hosts, FIRST_PORT)
    for one, row in zip(placements, rows, strict=True):
        placement = ids[row["app_id"], row["environment_id"]]
        for position, name in enumerate(one["hosts"]):
            members.append({"placement_id": placement, "host_id": hosts[name], "position": position})
            for slot in SLOTS:
                owner = port_owner(one["app"], one["env"], slot)
                ports.append({"pool": port_pool(name), "owner": owner, "value": taken[name]})
                taken[name] += 1
        for position, name in enumerate(one["lbs"]):
            place = {"placement_id": placement, "host_id": hosts[name], "position": position}
            lbs.append({**place, "port": one["lb_port"]})
    for model, found in ((PlacementHost, members), (PlacementLb, lbs), (Allocation, ports)):
        session.execute(insert(model), found)


def _ids(session: Session, name: Any) -> dict[str, int]:
    return {found: row_id for row_id, found in session.execute(select(name.class_.id, name))}


def _racks(session: Session) -> dict[str, int]:
    rows = session.scalars(select(Rack).join(Rack.room).join(Room.idc))
    return {f"{row.room.idc.code}/{row.room.code}/{row.code}": row.id for row in rows}
