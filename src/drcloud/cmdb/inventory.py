"""What Ansible sees of the CMDB: hosts, groups and variables, computed from one snapshot.

Pure functions over plain rows. Nothing here knows Ansible; the inventory plugin fills this in.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from drcloud.cmdb import ssh
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.snapshot import AppRow, HostRow, PlacementRow, RegistryRow, Snapshot
from drcloud.errors import InvalidInputError, NothingMatchedError

Variables = dict[str, Any]

# A retired host is not under management any more: only the CMDB remembers it.
GONE = "retired"
# ansible-core's rule for group names; letters of any script are letters.
NOT_IN_GROUP_NAMES = re.compile(r"\W")


@dataclass(slots=True)
class Groups:
    """Groups by name: their direct members and their child groups, in a stable order."""

    members: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    children: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    _sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def name(self, *source: str) -> str:
        """Return the group's name for its parts; two different sources never share a name."""
        name = NOT_IN_GROUP_NAMES.sub("_", "_".join(source))
        other = self._sources.setdefault(name, source)
        if other != source:
            raise InvalidInputError(
                f"{_said(other)} and {_said(source)} would both be the inventory group {name}: "
                "rename one of them in the CMDB"
            )
        return name


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that the inventory plugin fills in."""

    hosts: dict[str, Variables]
    groups: Groups
    everywhere: Variables


def build(snapshot: Snapshot, ssh_config: str | None = None) -> Inventory:
    """Return hosts, groups and variables of a snapshot; a CMDB without hosts is an error.

    ``ssh_config`` is the configuration file that connections use; without one, only the way through
    a bastion is told to ``ssh``.
    """
    hosts = [row for row in snapshot.hosts if row.state != GONE]
    if not hosts:
        what = "only retired hosts" if snapshot.hosts else "no hosts"
        raise NothingMatchedError(
            f"the CMDB holds {what}: declare hosts in a file and run `drcloud cmdb import FILE`"
        )
    known = {row.name: row for row in hosts}
    placements = [_present(row, known) for row in snapshot.placements]
    variables = {row.name: host_variables(row) for row in hosts}
    _add_connection(variables, hosts, known, ssh_config)
    _add_placements(variables, placements)
    _add_pools(variables, placements, known, snapshot.apps)
    everywhere = _everywhere(snapshot.registries)
    if ssh_config is not None:
        everywhere["dr_ssh_config"] = ssh_config
    return Inventory(variables, _groups(hosts, placements), everywhere)


def host_variables(row: HostRow) -> Variables:
    """Return the variables that stand in the host's own row, and how to connect to it."""
    variables: Variables = {
        "ansible_host": row.address or row.name,
        "ansible_port": row.ssh_port,
        "ansible_user": row.ssh_user,
        "dr_idc": row.idc,
        "dr_room": row.room,
        "dr_rack": row.rack,
        "dr_role": row.role,
        "dr_state": row.state,
        "dr_serial": row.serial,
        "dr_asset_tag": row.asset_tag,
        "dr_attrs": row.attrs,
        "dr_block_devices": list(row.block_devices),
    }
    if row.role == "docker":
        variables["dr_placements"] = []
    if row.role == "lb":
        variables["dr_lb_pools"] = []
    return variables


def _add_connection(
    variables: dict[str, Variables],
    hosts: Iterable[HostRow],
    known: dict[str, HostRow],
    ssh_config: str | None,
) -> None:
    through_file = None if ssh_config is None else f"-F {shlex.quote(ssh_config)}"
    for row in hosts:
        if through_file is not None:
            variables[row.name]["ansible_ssh_common_args"] = through_file
        elif row.ssh_via is not None:
            jump = shlex.quote(ssh.proxy_jump(row, known))
            variables[row.name]["ansible_ssh_common_args"] = f"-o ProxyJump={jump}"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A placement without the hosts that are retired."""

    row: PlacementRow
    hosts: tuple[str, ...]
    lbs: tuple[str, ...]


def _present(row: PlacementRow, known: dict[str, HostRow]) -> _Placed:
    return _Placed(
        row,
        tuple(name for name in row.hosts if name in known),
        tuple(name for name in row.lbs if name in known),
    )


def _add_placements(variables: dict[str, Variables], placements: Iterable[_Placed]) -> None:
    for placed in placements:
        for name in placed.hosts:
            slots = dict(placed.row.ports.get(name, {}))
            entry = {"app": placed.row.app, "env": placed.row.env, "slots": slots}
            variables[name].setdefault("dr_placements", []).append(entry)


def _add_pools(
    variables: dict[str, Variables],
    placements: Iterable[_Placed],
    known: dict[str, HostRow],
    apps: Iterable[AppRow],
) -> None:
    specs = {row.name: row.spec for row in apps}
    for placed in placements:
        if not placed.lbs or placed.row.lb_port is None:
            continue
        pool = _pool(placed, known, specs[placed.row.app])
        for name in placed.lbs:
            # Each balancer gets its own copy: what one play changes, no other host sees.
            variables[name].setdefault("dr_lb_pools", []).append(
                {**pool, "members": [dict(member) for member in pool["members"]]}
            )


def _pool(placed: _Placed, known: dict[str, HostRow], spec: Variables) -> Variables:
    row = placed.row
    health = AppSpec.model_validate(spec).for_environment(row.env).health
    return {
        "name": f"{row.app}_{row.env}",
        "app": row.app,
        "env": row.env,
        "port": row.lb_port,
        "health_path": health.path,
        "health_interval": health.interval,
        "min_in_service": row.min_in_service,
        "members": [
            {"host": name, "address": known[name].address, "slots": dict(row.ports.get(name, {}))}
            for name in placed.hosts
        ],
    }


def _everywhere(registries: Iterable[RegistryRow]) -> Variables:
    return {
        "dr_registries": [
            {
                "name": row.name,
                "endpoint": row.endpoint,
                "username": row.username,
                "password": row.password,
                "ca": row.ca,
            }
            for row in registries
        ]
    }


def _groups(hosts: Iterable[HostRow], placements: Iterable[_Placed]) -> Groups:
    groups = Groups()
    # Names repeat a thousandfold: each distinct value is made into a name once.
    buckets: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for row in hosts:
        buckets["role", row.role].append(row.name)
        buckets["state", row.state].append(row.name)
        buckets["rack" if row.rack else "idc", row.rack or row.idc].append(row.name)
    for (kind, value), names in buckets.items():
        if value is not None:
            groups.members[_bucket_name(groups, kind, value)] += names
    _group_placements(groups, placements)
    return groups


def _bucket_name(groups: Groups, kind: str, value: str) -> str:
    if kind != "rack":
        return groups.name(kind, value)
    rack = groups.name("rack", *value.split("/"))
    groups.children[groups.name("idc", value.partition("/")[0])][rack] = None
    return rack


def _group_placements(groups: Groups, placements: Iterable[_Placed]) -> None:
    for placed in placements:
        both = groups.name("app", placed.row.app, placed.row.env)
        groups.members[both] += placed.hosts
        groups.children[groups.name("app", placed.row.app)][both] = None
        groups.children[groups.name("env", placed.row.env)][both] = None


def names(groups: Groups) -> Iterator[str]:
    """Yield the name of each group once, parents first."""
    yield from dict.fromkeys([*groups.children, *groups.members])


def groups_by_host(groups: Groups) -> dict[str, set[str]]:
    """Return the groups of each host, those above its own included."""
    parents: dict[str, list[str]] = defaultdict(list)
    for parent, children in groups.children.items():
        for child in children:
            parents[child].append(parent)
    found: dict[str, set[str]] = defaultdict(set)
    for name, members in groups.members.items():
        for member in members:
            found[member] |= {name, *parents[name]}
    return found


def _said(source: tuple[str, ...]) -> str:
    kind, *parts = source
    if kind == "app" and len(parts) > 1:
        return f"the placement of app {parts[0]!r} in environment {parts[1]!r}"
    noun = {"env": "environment", "idc": "IDC"}.get(kind, kind)
    return f"{noun} {'/'.join(parts)!r}"
