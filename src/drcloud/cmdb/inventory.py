"""What Ansible sees of the CMDB: hosts, groups and variables, computed from one snapshot.

Pure functions over plain rows. Nothing here knows Ansible; the inventory plugin fills this in.
"""

from __future__ import annotations

import copy
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drcloud.cmdb import grouping, hostnames, ssh
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.declared import POOL_MODES, SUBNET_LENGTHS
from drcloud.cmdb.edge import AUTHORITY, Edge, VipRow
from drcloud.cmdb.grouping import Groups, groups_by_host, names
from drcloud.cmdb.options import CONNECTION, ON_REQUEST, USUAL, Options
from drcloud.cmdb.selection import GONE
from drcloud.cmdb.snapshot import HostRow, PlacementRow, Snapshot
from drcloud.errors import NothingMatchedError

__all__ = ["Groups", "Inventory", "build", "groups_by_host", "names"]

Variables = dict[str, Any]
# Says of a host's name and variables whether the host stays.
Keep = Callable[[str, Variables], bool]


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that the inventory plugin fills in.

    ``hidden`` variables are there for the expressions of the source only, hosts do not show them.
    ``labels`` has the inventory's name of each host by its name in the CMDB.
    """

    hosts: dict[str, Variables]
    groups: Groups
    everywhere: Variables
    labels: Mapping[str, str]
    hidden: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def build(
    snapshot: Snapshot,
    ssh_config: str | None = None,
    options: Options | None = None,
    keep: Keep | None = None,
    drift: Mapping[str, Iterable[str]] | None = None,
) -> Inventory:
    """Return hosts, groups and variables of a snapshot; one without hosts is an error.

    ``ssh_config`` is the configuration file that connections use; without one, only the way through
    a bastion is told to ``ssh``. ``keep`` is what ``where`` means; ``drift`` are hosts by kind of drift.
    """
    options = options or Options()
    hosts = [row for row in snapshot.hosts if row.state != GONE or options.selection.state]
    known = {row.name: row for row in (*hosts, *snapshot.others) if row.state != GONE}
    selected = {row.name for row in hosts}
    placements = [_present(row, selected, known) for row in snapshot.placements]
    needed = options.needed
    variables = {row.name: host_variables(row, needed) for row in hosts}
    _add_connection(variables, hosts, known, ssh_config)
    _add_placements(variables, placements)
    _add_pools(variables, placements, known, snapshot)
    _add_vips(variables, snapshot.edge.vips)
    variables, labels, warnings = _named(hosts, variables, options, keep)
    if not variables and not options.allow_empty:
        raise NothingMatchedError(_nothing(snapshot, options))
    everywhere = _everywhere(snapshot)
    if ssh_config is not None:
        everywhere["dr_ssh_config"] = ssh_config
    groups, more = _groups(
        [row for row in hosts if row.name in labels], placements, labels, options, variables
    )
    _group_drift(groups, drift or {}, labels)
    _show(variables, needed)
    return Inventory(variables, groups, everywhere, labels, options.hidden, (*warnings, *more))


def _nothing(snapshot: Snapshot, options: Options) -> str:
    if any(options.selection.given()) or options.where:
        asked = " and ".join(
            filter(None, (str(options.selection), options.where and f"where {options.where}"))
        )
        return f"no host of the CMDB matches {asked}: change the filters, or say allow_empty: true"
    what = "only retired hosts" if snapshot.hosts or snapshot.unselected else "no hosts"
    return f"the CMDB holds {what}: declare hosts in a file and run `drcloud cmdb import FILE`"


def _named(
    hosts: Iterable[HostRow], variables: dict[str, Variables], options: Options, keep: Keep | None
) -> tuple[dict[str, Variables], dict[str, str], tuple[str, ...]]:
    """Return the variables of the hosts that stay, by their names in the inventory, and these names."""
    chosen = {name: hostnames.choice(name, found, options) for name, found in variables.items()}
    if keep is not None:
        chosen = {name: label for name, label in chosen.items() if keep(label, variables[name])}
    idcs = {row.name: row.idc for row in hosts}
    labels, warnings = hostnames.unique(chosen, idcs, options.duplicates)
    return {label: variables[name] for name, label in labels.items()}, labels, warnings


def _show(variables: dict[str, Variables], needed: frozenset[str]) -> None:
    """Take out of all hosts what nobody asked for."""
    for name in {"dr_placements", "dr_lb_pools", "dr_vips"} - needed:
        for found in variables.values():
            found.pop(name, None)


def host_variables(row: HostRow, needed: frozenset[str]) -> Variables:
    """Return the variables that stand in the host's own row, as far as needed, and how to connect to it."""
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
    if row.bridges:
        variables["dr_bridges"] = [_bridge(one) for one in row.bridges]
    if not needed.issuperset(USUAL):
        variables = {name: value for name, value in variables.items() if name in needed or name in CONNECTION}
    if not needed.isdisjoint(ON_REQUEST):
        variables |= {name: value for name, value in _on_request(row).items() if name in needed}
    if row.role == "docker":
        variables["dr_placements"] = []
    if row.role == "lb":
        variables["dr_lb_pools"] = []
    return variables


def _bridge(row: Variables) -> Variables:
    """Return a bridge with the length that the host's subnet has where the CMDB does not say."""
    return {**row, "length": row["length"] or SUBNET_LENGTHS[row["mode"]]}


def _on_request(row: HostRow) -> Variables:
    return {
        "dr_name": row.name,
        "dr_model": row.model,
        "dr_rack_unit": row.rack_unit,
        "dr_tags": list(row.tags),
        "dr_addresses": list(row.addresses),
    }


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
    """A placement without hosts that are retired: ``hosts`` to be shown, ``members`` of its pools."""

    row: PlacementRow
    hosts: tuple[str, ...]
    members: tuple[str, ...]
    lbs: tuple[str, ...]


def _present(row: PlacementRow, selected: set[str], known: Mapping[str, HostRow]) -> _Placed:
    members = tuple(name for name in row.hosts if name in known)
    return _Placed(
        row,
        tuple(name for name in members if name in selected),
        members,
        tuple(name for name in row.lbs if name in known and name in selected),
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
    snapshot: Snapshot,
) -> None:
    specs = {row.name: row.spec for row in snapshot.apps}
    binds = _binds(snapshot.edge)
    for placed in placements:
        if not placed.lbs or placed.row.lb_port is None:
            continue
        pool = _pool(placed, known, specs[placed.row.app])
        mode, declared = binds.get((placed.row.app, placed.row.env), (POOL_MODES[0], []))
        for name in placed.lbs:
            # Each balancer gets its own copy: what one play changes, no other host sees.
            variables[name].setdefault("dr_lb_pools", []).append(
                {
                    **pool,
                    "mode": mode,
                    "members": [dict(member) for member in pool["members"]],
                    "binds": [copy.deepcopy(bind) for lbs, bind in declared if name in lbs],
                }
            )


def _binds(edge: Edge) -> dict[tuple[str, str], tuple[str, list[tuple[tuple[str, ...], Variables]]]]:
    """Return for each placement with declared pools their mode, and their ports with who carries the VIP."""
    vips = {row.name: row for row in edge.vips}
    certificates = {row.name: asdict(row) for row in edge.certificates}
    found: dict[tuple[str, str], tuple[str, list[tuple[tuple[str, ...], Variables]]]] = {}
    for row in edge.pools:
        vip = vips[row.vip]
        bind = {
            "vip": vip.name,
            "address": vip.address,
            "port": row.port,
            "certificate": certificates[row.certificate] if row.certificate else None,
        }
        found.setdefault((row.app, row.env), (row.mode, []))[1].append((vip.lbs, bind))
    return found


def _add_vips(variables: dict[str, Variables], vips: Iterable[VipRow]) -> None:
    for row in vips:
        for name in row.lbs:
            if name in variables:
                entry = {**asdict(row), "lbs": list(row.lbs)}
                variables[name].setdefault("dr_vips", []).append(entry)


def _pool(placed: _Placed, known: dict[str, HostRow], spec: Variables) -> Variables:
    row = placed.row
    health = AppSpec.model_validate(spec).for_environment(row.env).health
    return {
        "name": f"{row.app}_{row.env}",
        "app": row.app,
        "env": row.env,
        "port": row.lb_port,
        # Only HTTP has a path: load balancers look at any other app by connecting to it.
        "health_path": health.path if health.kind == "http" else "",
        "health_interval": health.interval,
        "min_in_service": row.min_in_service,
        "maintenance": row.maintenance,
        "members": [
            {"host": name, "address": known[name].address, "slots": dict(row.ports.get(name, {}))}
            for name in placed.members
        ],
    }


def _everywhere(snapshot: Snapshot) -> Variables:
    zones = [
        {"name": row.name, "prefixes": list(row.prefixes), "allows": list(row.allows)}
        for row in snapshot.edge.zones
    ]
    authorities = [asdict(row) for row in snapshot.edge.certificates if row.purpose == AUTHORITY]
    return {
        "dr_registries": [asdict(row) for row in snapshot.registries],
        **({"dr_firewall_zones": zones} if zones else {}),
        **({"dr_certificates": authorities} if authorities else {}),
    }


def _groups(
    hosts: Iterable[HostRow],
    placements: Iterable[_Placed],
    labels: Mapping[str, str],
    options: Options,
    variables: Mapping[str, Variables],
) -> tuple[Groups, list[str]]:
    """Return the groups, and warnings of rules that group nothing."""
    groups = Groups()
    # Names repeat a thousandfold: each distinct value is made into a name once.
    buckets: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for row in hosts:
        label = labels[row.name]
        buckets["role", row.role].append(label)
        buckets["state", row.state].append(label)
        buckets["rack" if row.rack else "idc", row.rack or row.idc].append(label)
        for tag in row.tags:
            buckets["tag", tag].append(label)
    for (kind, value), members in buckets.items():
        if value is not None:
            groups.join(_bucket_name(groups, kind, value), members, kind, value)
    _group_placements(groups, placements, labels)
    warnings = []
    for number, levels in enumerate(options.group_by):
        if not grouping.by_path(groups, f"group_by[{number}]", levels, variables) and variables:
            said = " / ".join(".".join(path) for path in levels)
            warnings.append(f"group_by[{number}] groups no host: none has a value for {said}")
    return groups, warnings


def _bucket_name(groups: Groups, kind: str, value: str) -> str:
    if kind != "rack":
        return groups.name(kind, value)
    rack = groups.name("rack", *value.split("/"))
    groups.nest(groups.name("idc", value.partition("/")[0]), rack)
    return rack


def _group_placements(groups: Groups, placements: Iterable[_Placed], labels: Mapping[str, str]) -> None:
    for placed in placements:
        members = [labels[name] for name in placed.hosts if name in labels]
        if not members:
            continue
        app, env = placed.row.app, placed.row.env
        both = groups.name("app", app, env)
        groups.join(both, members, "placement", f"{app}@{env}")
        groups.nest(groups.name("app", app), both)
        groups.nest(groups.name("env", env), both)


def _group_drift(groups: Groups, drift: Mapping[str, Iterable[str]], labels: Mapping[str, str]) -> None:
    for kind, hosts in sorted(drift.items()):
        if members := sorted({labels[name] for name in hosts if name in labels}):
            group = groups.name("drift", kind)
            groups.join(group, members, "drift", kind)
            groups.nest(groups.name("drift"), group)
