"""A host that ran before it was declared: what of it becomes declared, and what a person has to see to.

What is found is declared as it is, so that provisioning has nothing to change about it. What cannot be had
as it is becomes a note, and stays as it is on the host: networks that the CMDB does not name are left alone,
disks of purpose ``spare`` are never opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from drcloud.cmdb import entries, lookup, objects
from drcloud.cmdb.declared import Host
from drcloud.cmdb.declared.machines import FILESYSTEMS
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

# As ``drcloud.cmdb.document.machines`` takes them.
LINK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
MOUNT = re.compile(r"(/[A-Za-z0-9_.@+-]+)+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DATA_ROOT = "/var/lib/docker"
BRIDGE = ("name", "mode", "nic", "containers", "length", "mtu", "ipv6", "attrs")
DISK = ("path", "serial", "wwn", "purpose", "filesystem", "mount", "uuid", "attrs")
# From these states on a host is what the CMDB says, and not the other way round.
UNTOUCHED = ("planned", "provisioning")

Survey = Mapping[str, Any]
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Adoption:
    """What of a survey becomes declared, beside what is; and what does not, as sentences."""

    bridges: tuple[Fields, ...] = ()
    block_devices: tuple[Fields, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """How it went: what changed in the CMDB, and the notes."""

    outcome: objects.Outcome
    notes: tuple[str, ...] = field(default=())


def adopt(
    store: Store, host: str, survey: Survey, *, reason: str, ticket: str | None = None, dry_run: bool = False
) -> Adopted:
    """Declare what a host has that is not declared yet; nothing that is declared is changed.

    ``survey`` is the result of the module ``host_survey``. InvalidInputError where the host is in service.
    """
    notes: list[str] = []

    def wanted(session: Session) -> Sequence[Entry]:
        row = lookup.host(session, host)
        require_adoptable(row)
        bridges, disks = _bridges(row), _disks(row)
        found = plan(survey, bridges, disks)
        notes[:] = found.notes
        lists = {"bridges": [*bridges, *found.bridges], "block_devices": [*disks, *found.block_devices]}
        return [Entry("hosts", {"name": host, **lists})]

    outcome = entries.declare(store, wanted, reason=reason, ticket=ticket, dry_run=dry_run)
    return Adopted(outcome, tuple(notes))


def require_known(store: Store, host: str) -> None:
    """Refuse a host that the CMDB does not know, or that drCloud has set up already."""
    with store.read() as session:
        require_adoptable(lookup.host(session, host))


def require_adoptable(row: Host) -> None:
    """Refuse a host that drCloud has set up already."""
    if row.state not in UNTOUCHED:
        raise InvalidInputError(
            f"host {row.name} is {row.state}: only a host that was not provisioned yet is adopted; "
            "`drcloud host provision --check` tells how it differs from what is declared"
        )
    if row.role != "docker":
        raise InvalidInputError(f"host {row.name} is of the role {row.role}: only Docker hosts are adopted")


def plan(survey: Survey, bridges: Sequence[Fields] = (), disks: Sequence[Fields] = ()) -> Adoption:
    """Return what becomes declared beside the bridges and disks that are. Pure."""
    networks = [one for one in survey["networks"] if one["name"] not in {known["name"] for known in bridges}]
    taken, left = _networks(networks)
    root = (survey["engine"] or {}).get("data_root") or DATA_ROOT
    fresh = [one for one in survey["disks"] if not any(_same(one, known) for known in disks)]
    found = [_disk(one, root) for one in fresh if not one["system"]]
    notes = [*_engine(survey), *left, *_containers(survey["containers"])]
    notes += [note for _fields, note in found if note]
    notes += [
        f"disk {one['path']}: it carries the operating system and is not declared"
        for one in fresh
        if one["system"]
    ]
    return Adoption(tuple(taken), tuple(fields for fields, _note in found), tuple(notes))


def _engine(survey: Survey) -> Iterable[str]:
    engine = survey["engine"]
    if engine is None:
        yield "no Docker Engine answers there: provisioning installs one"
        return
    running = [one["name"] for one in survey["containers"] if one["status"] == "running"]
    if running and not engine["live_restore"]:
        yield (
            f"live-restore is off: where provisioning restarts the engine, {len(running)} containers are "
            f"restarted with it ({_some(running)})"
        )
    if engine["data_root"] != DATA_ROOT:
        yield (
            f"the engine keeps its data in {engine['data_root']}, not in {DATA_ROOT}: set "
            f"docker_engine_extra_options to {{data-root: {engine['data_root']}}} for this host first"
        )
    if engine["swarm"]:
        yield "the engine is in swarm mode, which drCloud refuses: docker swarm leave"


def _networks(found: Sequence[Fields]) -> tuple[list[Fields], list[str]]:
    """Return the networks that can be declared as they are, and why the others cannot."""
    taken: list[Fields] = []
    notes: list[str] = []
    for one in found:
        why = _not_ours(one)
        if why:
            notes.append(f"network {one['name']}: {why}; it stays as it is and is not declared")
        else:
            taken.append({"name": one["name"], "mode": "nat", **({"mtu": one["mtu"]} if one["mtu"] else {})})
    return taken, notes


def _not_ours(network: Fields) -> str:
    if network["driver"] != "bridge":
        return f"its driver is {network['driver']}"
    if network["nics"]:
        return f"its bridge {network['bridge']} carries {_some(network['nics'])}"
    if network["bridge"] != network["name"]:
        return f"its Linux bridge is called {network['bridge']}, and drCloud calls both the same"
    if not LINK.fullmatch(network["name"]):
        return "its name is no name for a Linux bridge"
    if network["internal"] or network["ipv6"]:
        return "it is internal" if network["internal"] else "it has IPv6"
    return ""


def _disk(found: Fields, root: str) -> tuple[Fields, str]:
    """Return the entry of a disk, and a note where it holds something that drCloud will not care for."""
    identity = {name: found[name] for name in ("serial", "wwn") if found[name]} or {"path": found["path"]}
    label, point = found["path"], next(iter(found["mounts"]), None)
    usable = found["filesystem"] in FILESYSTEMS and UUID.fullmatch(found["uuid"] or "")
    if usable and root in found["mounts"]:
        known = {"filesystem": found["filesystem"], "uuid": found["uuid"]}
        return {**identity, "purpose": "docker-data", **known}, ""
    if usable and point and len(found["mounts"]) == 1 and MOUNT.fullmatch(point):
        known = {"filesystem": found["filesystem"], "uuid": found["uuid"], "mount": point}
        return {**identity, "purpose": "app-volume", **known}, ""
    uses = [*found["uses"], *(f"partition {name}" for name in found["partitions"])]
    holds = f"{found['filesystem']} file system" if found["filesystem"] else ""
    said = ", ".join(filter(None, [holds, *uses]))
    return {
        **identity,
        "purpose": "spare",
    }, f"disk {label}: declared spare, never touched ({said})" if said else ""


def _containers(found: Sequence[Fields]) -> Iterable[str]:
    for one in found:
        if not one["ours"]:
            yield f"container {one['name']}: {'; '.join(_traits(one))}"


def _traits(one: Fields) -> Iterable[str]:
    yield f"{one['status']}, {one['image']}"
    published = [f"{port['host']}->{port['container']}/{port['protocol']}" for port in one["ports"]]
    yield f"publishes {', '.join(published)}" if published else "publishes nothing"
    if one["network_mode"] == "host":
        yield "uses the host's own network"
    if one["privileged"]:
        yield "is privileged"
    if volumes := [mount["target"] for mount in one["mounts"]]:
        yield f"mounts {_some(volumes)}"


def _same(found: Fields, known: Fields) -> bool:
    """Tell whether a disk is the one that an entry means, as far as that can be told from here."""
    names = [name for name in ("serial", "wwn", "path") if known.get(name)]
    return bool(names) and all(known[name] == found[name] for name in names)


def _some(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _bridges(row: Host) -> list[Fields]:
    return [_given({name: getattr(one, name) for name in BRIDGE}) for one in row.bridges]


def _disks(row: Host) -> list[Fields]:
    return [
        _given({**{name: getattr(one, name) for name in DISK}, "app": one.app and one.app.name})
        for one in row.block_devices
    ]


def _given(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value not in (None, {})}
