# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an Ansible inventory in bulk: one step for each host and one for each group.

The public calls look at the name of every variable, make a debug line for each and walk the group tree
for every member. What is filled in here is plain data of known kinds, so it is written to the host and group
objects at once. That is done only where a small inventory, filled both ways, came out the same in every
attribute; otherwise the public calls do the same, slower.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import types
import typing as t

from ansible import constants as C


@contextlib.contextmanager
def in_bulk() -> t.Iterator[None]:
    """Make many objects that stay: Python's collector would look through all of them again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def fill(inventory: t.Any, found: t.Any, group_names: t.Iterable[str], direct: bool | None = None) -> None:
    """Add hosts, groups and variables to the inventory, which takes over the dicts of the hosts' variables.

    direct forces one of the two ways.
    """
    direct = can_write(inventory.__class__) if direct is None else direct
    for name in group_names:
        inventory.add_group(name)
    for parent, children in found.groups.children.items():
        for child in children:
            inventory.add_child(parent, child)
    for name, value in found.everywhere.items():
        inventory.set_variable("all", name, value)
    if direct:
        _write_hosts(inventory, found.hosts)
    else:
        _add_hosts(inventory, found.hosts)
    add_members(inventory, found.groups.members, direct)


def add_members(inventory: t.Any, members: t.Mapping[str, t.Iterable[str]], direct: bool) -> None:
    """Add to each group its hosts; all of them are in the inventory."""
    for name, hosts in members.items():
        if direct:
            _write_members(inventory, inventory.groups[name], hosts)
        else:
            for host in hosts:
                inventory.add_child(name, host)


def withdraw(inventory: t.Any, hosts: set[str], groups: set[str]) -> None:
    """Take out again what was added since there were only these hosts and groups."""
    for name in [name for name in inventory.hosts if name not in hosts]:
        inventory.remove_host(inventory.hosts[name])
    for name in [name for name in inventory.groups if name not in groups]:
        inventory.remove_group(inventory.groups[name])
    for group in inventory.groups.values():
        group.child_groups[:] = [child for child in group.child_groups if child.name in groups]


@functools.cache
def can_write(kind: type) -> bool:
    """Tell whether this kind of inventory can be written directly: a small one has to come out the same.

    Ask with ``__class__``: what a plugin is given is a proxy of the inventory.
    """
    if C.DEFAULT_HASH_BEHAVIOUR != "replace":
        return False  # a variable that is set twice is merged then
    try:
        return _picture(_sample(kind(), True)) == _picture(_sample(kind(), False))
    except Exception:
        return False


def _sample(inventory: t.Any, direct: bool) -> t.Any:
    """Fill an inventory that has something already with all that is written directly."""
    inventory.current_source = "/site.cmdb.yml"
    inventory.add_host("a", inventory.add_group("role"))
    inventory.set_variable("a", "mine", "kept")
    inventory.get_groups_dict()
    groups = types.SimpleNamespace(
        members={"role": ["b", "a"], "rack": ["a", "b", "c"], "empty": []}, children={"idc": ["rack"]}
    )
    hosts = {
        name: {"ansible_port": 22, "document": {"list": [name]}, "empty": None} for name in ("b", "a", "c")
    }
    found = types.SimpleNamespace(hosts=hosts, groups=groups, everywhere={"everywhere": []})
    fill(inventory, found, ("idc", "rack", "role", "empty"), direct)
    inventory.reconcile_inventory()
    return inventory


def _picture(inventory: t.Any) -> dict[t.Any, t.Any]:
    """Return every attribute of an inventory's objects, books that we know nothing of included."""
    for group in inventory.groups.values():
        group.host_names  # noqa: B018 - computed when asked for
    return {
        "order": [*inventory.hosts, "/", *inventory.groups],
        "books": {name: sorted(hosts) for name, hosts in inventory.get_groups_dict().items()},
        **{
            (what, name, attribute): _named(attribute, value)
            for what in ("hosts", "groups")
            for name, entity in getattr(inventory, what).items()
            for attribute, value in vars(entity).items()
            if attribute != "_uuid"
        },
    }


def _named(attribute: str, value: t.Any) -> t.Any:
    """Name the hosts and groups of a list, sorted where ansible-core has them out of a set, in no order."""
    if isinstance(value, list) and value and hasattr(value[0], "name"):
        names = [entity.name for entity in value]
        return sorted(names) if attribute in {"groups", "_hosts_cache"} else names
    return [type(value), value]


def _write_hosts(inventory: t.Any, hosts: t.Mapping[str, dict[str, t.Any]]) -> None:
    origin: dict[str, t.Any] | None = None
    kind: t.Any = None
    for name, variables in hosts.items():
        host = inventory.hosts.get(name)
        if host is None and (origin is None or not name or name in C.LOCALHOST):
            # The public call tells what every host is given, and keeps the books of a localhost.
            inventory.add_host(name)
            host = inventory.hosts[name]
            origin, kind = dict(host.vars), type(host)
        elif host is None:
            host = inventory.hosts[name] = kind(name)
            host.vars = origin
        for variable, value in host.vars.items():
            variables.setdefault(variable, value)
        host.vars = variables


def _write_members(inventory: t.Any, group: t.Any, members: t.Iterable[str]) -> None:
    # Another source may have filled the group already.
    present = {host.name for host in group.hosts}
    line = [*group.get_ancestors(), group]
    for member in members:
        if member in present:
            continue
        present.add(member)
        host = inventory.hosts[member]
        group.hosts.append(host)
        for above in line:
            if above not in host.groups:
                host.groups.append(above)
    group._hosts = None
    group.clear_hosts_cache()
    inventory._groups_dict_cache = {}


def _add_hosts(inventory: t.Any, hosts: t.Mapping[str, dict[str, t.Any]]) -> None:
    for name in hosts:
        inventory.add_host(name)
    for name, variables in hosts.items():
        for variable, value in variables.items():
            inventory.set_variable(name, variable, value)
