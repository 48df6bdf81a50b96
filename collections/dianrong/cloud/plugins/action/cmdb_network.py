# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare networks: VRFs, VLANs, firewall zones, prefixes and addresses, in one transaction."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    PRESENCE,
    WRITING,
    CmdbAction,
    Wanted,
    result,
)

TEXT = {"type": "str"}
NAME = {"type": "str", "required": True}
ATTRS = {"type": "dict"}
SERVICES = ["ssh", "registry", "log", "time", "api", "apps", "lb", "lb_admin", "vrrp", "ping"]
NAMED = {"name": NAME, "description": TEXT, "attrs": ATTRS}
# Option, kind and fields; what is referred to comes first.
SECTIONS = {
    "vrfs": ("vrf", NAMED),
    "zones": ("firewall_zone", {**NAMED, "allows": {"type": "list", "elements": "str", "choices": SERVICES}}),
    "vlans": ("vlan", {"idc": NAME, "vid": {"type": "int", "required": True}, "name": TEXT, "attrs": ATTRS}),
    "prefixes": (
        "prefix",
        {
            "cidr": NAME,
            "vrf": TEXT,
            "idc": TEXT,
            "vlan": {"type": "int"},
            "zone": TEXT,
            "purpose": TEXT,
            "aggregate": {"type": "bool"},
            "attrs": ATTRS,
        },
    ),
    "addresses": (
        "address",
        {"address": NAME, "vrf": TEXT, "host": TEXT, "nic": TEXT, "purpose": TEXT, "attrs": ATTRS},
    ),
}


class ActionModule(CmdbAction):
    """A view of objects by the names that network people use."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        lists = {
            name: {"type": "list", "elements": "dict", "default": [], "options": options}
            for name, (_kind, options) in SECTIONS.items()
        }
        given = self.options(WRITING, PRESENCE, lists)
        wanted = [
            Wanted(kind, fields(kind, one), state=given["state"])
            for name, (kind, _options) in SECTIONS.items()
            for one in given[name]
        ]
        return result(self.change(wanted))


def fields(kind: str, one: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the fields of an object; a VLAN is named with its IDC, a port with its host."""
    found = {
        name: value or None if value == "" else value for name, value in one.items() if value is not None
    }
    if kind == "prefix" and "vlan" in found:
        found["vlan"] = f"{found.get('idc')}/{found['vlan']}"
    if kind == "address" and found.get("nic"):
        found["nic"] = f"{found.get('host')}/{found['nic']}"
    return found
