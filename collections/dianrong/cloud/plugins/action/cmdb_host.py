# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare hosts in the CMDB, move their state, or remove them; all hosts of a call in one transaction."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    VERSION,
    WRITING,
    CmdbAction,
    Entry,
    Wanted,
    reading,
    result,
    said,
)

STATES = ["planned", "provisioning", "active", "maintenance", "quarantined", "retired"]
SSH = {"user": {"type": "str"}, "port": {"type": "int"}, "via": {"type": "str"}}
DISK = {
    "path": {"type": "str"},
    "serial": {"type": "str"},
    "wwn": {"type": "str"},
    "purpose": {"type": "str", "required": True, "choices": ["docker-data", "app-volume", "raw", "spare"]},
    "filesystem": {"type": "str", "choices": ["xfs", "ext4"]},
    "mount": {"type": "str"},
    "uuid": {"type": "str"},
    "app": {"type": "str"},
    "attrs": {"type": "dict"},
}
BRIDGE = {
    "name": {"type": "str", "required": True},
    "mode": {"type": "str", "required": True, "choices": ["nat", "uplink"]},
    "nic": {"type": "str"},
    "containers": {"type": "str"},
    "length": {"type": "int"},
    "mtu": {"type": "int"},
    "ipv6": {"type": "str"},
    "attrs": {"type": "dict"},
}
NIC = {
    "name": {"type": "str", "required": True},
    "mac": {"type": "str"},
    "speed_mbps": {"type": "int"},
    "attrs": {"type": "dict"},
}
FIELDS = {
    "role": {"type": "str"},
    "model": {"type": "str"},
    "rack": {"type": "str"},
    "unit": {"type": "int"},
    "address": {"type": "str"},
    "serial": {"type": "str"},
    "asset_tag": {"type": "str"},
    "ssh": {"type": "dict", "options": SSH},
    "nics": {"type": "list", "elements": "dict", "options": NIC},
    "block_devices": {"type": "list", "elements": "dict", "options": DISK},
    "bridges": {"type": "list", "elements": "dict", "options": BRIDGE},
    "tags": {"type": "list", "elements": "str"},
    "attrs": {"type": "dict"},
}
OPTIONS = {
    "names": {"type": "list", "elements": "str", "required": True, "aliases": ["name"]},
    "state": {"type": "str", "choices": [*STATES, "absent"]},
    "only_from": {"type": "list", "elements": "str", "choices": STATES},
    "foretold": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(CmdbAction):
    """One call for any number of hosts: one transaction, not one for each."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.options(WRITING, OPTIONS, FIELDS, VERSION)
        fields = _declared(given)
        names = list(dict.fromkeys(given["names"]))
        if given["state"] == "absent":
            return _told(self.change(Wanted("host", {}, name, "absent", given["version"]) for name in names))
        if not {"role", "address"} & set(fields) or given["only_from"]:
            names = self._known(names)
        if set(fields) <= {"state"}:
            outcome = self.change(Wanted("host", fields, name, version=given["version"]) for name in names)
            return _foretold(_told(outcome), given) if self.check_mode else _told(outcome)
        declared = (Entry("hosts", {"name": name, **fields}, given["version"]) for name in names)
        return _told(self.declare(declared))

    def _known(self, names: list[str]) -> list[str]:
        """Return the hosts that the task is about; one that the CMDB does not know is an error."""
        hosts = reading.read(self.store(), "host", names) if names else []
        only_from = self.given["only_from"]
        return [one.key for one in hosts if not only_from or one.fields["state"] in only_from]


def _declared(given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the fields that the task gives, as an import file has them."""
    fields = said(given, *FIELDS, "state")
    for name in ("ssh", "nics", "block_devices", "bridges"):
        if name in fields:
            parts = fields[name] if isinstance(fields[name], list) else [fields[name]]
            parts = [{key: value for key, value in part.items() if value is not None} for part in parts]
            fields[name] = parts if isinstance(fields[name], list) else parts[0]
    return fields


def _foretold(told: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the outcome with the hosts that would be in another state by now, had this been no check."""
    for name in sorted(set(given["foretold"]).intersection(given["names"]).difference(told["moved"])):
        before, after = {"state": given["only_from"][0]}, {"state": given["state"]}
        header = f"host {name}"
        told["changes"].append(
            {"kind": "host", "key": name, "action": "update", "before": before, "after": after}
        )
        told["diff"].append(
            {"before_header": header, "after_header": header, "before": before, "after": after}
        )
        told.update(changed=True, moved=sorted([*told["moved"], name]))
    return told


def _told(outcome: t.Any) -> dict[str, t.Any]:
    moved = [one.key for one in outcome.changes if one.kind == "host" and "state" in one.before and one.after]
    return {**result(outcome), "moved": sorted(moved)}
