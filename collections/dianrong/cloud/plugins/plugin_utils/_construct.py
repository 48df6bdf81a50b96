# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions of an inventory source: variables and groups computed from a host's variables."""

from __future__ import annotations

import typing as t


def construct(plugin: t.Any, found: t.Any) -> None:
    """Apply compose, groups and keyed_groups of the plugin's source to the hosts found in the CMDB."""
    strict = plugin.get_option("strict")
    compose, groups, keyed = (plugin.get_option(name) for name in ("compose", "groups", "keyed_groups"))
    if not (compose or groups or keyed):
        return
    for name in found.hosts:
        host = plugin.inventory.hosts[name]
        variables = found.everywhere | host.get_vars()
        if compose:
            plugin._set_composite_vars(compose, variables, name, strict=strict)
            variables = found.everywhere | host.get_vars()
        plugin._add_host_to_composed_groups(groups, variables, name, strict=strict, fetch_hostvars=False)
        plugin._add_host_to_keyed_groups(keyed, variables, name, strict=strict, fetch_hostvars=False)
