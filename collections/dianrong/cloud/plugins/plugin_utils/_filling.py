# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an Ansible inventory in bulk: one step for each host and one for each group.

ansible-core's own calls look at every nested value of every variable and walk the group tree for every
member. What is filled in here is plain data of known kinds, so it is written to the host and group objects
at once, where these are built as we know them; otherwise the public calls do the same, slower.
"""

from __future__ import annotations

import typing as t


def fill(inventory: t.Any, found: t.Any, group_names: t.Iterable[str], direct: bool | None = None) -> None:
    """Add hosts, groups and variables to the inventory; direct forces one of the two ways."""
    for name in group_names:
        inventory.add_group(name)
    for parent, children in found.groups.children.items():
        for child in children:
            inventory.add_child(parent, child)
    for name in found.hosts:
        inventory.add_host(name)
    for name, value in found.everywhere.items():
        inventory.set_variable("all", name, value)
    if _known_shape(inventory, found) if direct is None else direct:
        _write_variables(inventory, found)
        _write_members(inventory, found)
    else:
        _set_variables(inventory, found)
        _add_members(inventory, found)


def withdraw(inventory: t.Any, hosts: set[str], groups: set[str]) -> None:
    """Take out again what was added since there were only these hosts and groups."""
    for name in [name for name in inventory.hosts if name not in hosts]:
        inventory.remove_host(inventory.hosts[name])
    for name in [name for name in inventory.groups if name not in groups]:
        inventory.remove_group(inventory.groups[name])
    for group in inventory.groups.values():
        group.child_groups[:] = [child for child in group.child_groups if child.name in groups]


def _known_shape(inventory: t.Any, found: t.Any) -> bool:
    host = inventory.hosts[next(iter(found.hosts))]
    group = inventory.groups["all"]
    # Exactly these types: a subclass may keep books that a direct write would not reach.
    # pylint: disable=unidiomatic-typecheck
    return (
        type(host.vars) is dict
        and type(host.groups) is list
        and type(group.hosts) is list
        and hasattr(group, "_hosts")
        and callable(getattr(group, "clear_hosts_cache", None))
        and callable(getattr(group, "get_ancestors", None))
    )


def _write_variables(inventory: t.Any, found: t.Any) -> None:
    for name, variables in found.hosts.items():
        inventory.hosts[name].vars.update(variables)


def _write_members(inventory: t.Any, found: t.Any) -> None:
    for name, members in found.groups.members.items():
        group = inventory.groups[name]
        # Another source may have filled the group already.
        present = {host.name for host in group.hosts}
        line = [*group.get_ancestors(), group]
        for member in members:
            if member in present:
                continue
            host = inventory.hosts[member]
            group.hosts.append(host)
            for above in line:
                if above not in host.groups:
                    host.groups.append(above)
        group._hosts = None
        group.clear_hosts_cache()


def _set_variables(inventory: t.Any, found: t.Any) -> None:
    for name, variables in found.hosts.items():
        for variable, value in variables.items():
            inventory.set_variable(name, variable, value)


def _add_members(inventory: t.Any, found: t.Any) -> None:
    for name, members in found.groups.members.items():
        for member in members:
            inventory.add_child(name, member)
