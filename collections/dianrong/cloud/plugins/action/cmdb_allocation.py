# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allocate a number, a host's port, an address or a subnet to an owner key, or free it."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    PRESENCE,
    WRITING,
    CmdbAction,
    allocations,
    ipam,
)

OPTIONS = {
    "type": {"type": "str", "choices": ["address", "number", "port", "subnet"], "required": True},
    "owner": {"type": "str", "required": True},
    "prefix": {"type": "str"},
    "length": {"type": "int"},
    "purpose": {"type": "str"},
    "host": {"type": "str"},
    "pool": {"type": "str"},
    "first": {"type": "int"},
    "last": {"type": "int"},
}
REQUIRED = [
    ("type", "address", ["prefix"]),
    ("type", "subnet", ["prefix"]),
    ("type", "port", ["host"]),
    ("type", "number", ["pool", "first", "last"]),
]
# The request of each type, and the options that it takes besides the owner.
REQUESTS = {
    "address": ("Address", ("prefix", "purpose", "host")),
    "subnet": ("Subnet", ("prefix", "length", "purpose")),
    "port": ("Number", ("first", "last")),
    "number": ("Number", ("pool", "first", "last")),
}


class ActionModule(CmdbAction):
    """The same owner always gets the same answer."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask, and write only what the owner does not have yet."""
        given = self.options(WRITING, PRESENCE, OPTIONS, required_if=REQUIRED)
        act = allocations.free if given["state"] == "absent" else allocations.allocate
        answer = act(self.store(), _request(given), **self.unit())
        subject = f"{given['type']} of {given['owner']}"
        return {
            "changed": answer.before != answer.after,
            "value": answer.after,
            "diff": {
                "before_header": subject,
                "after_header": subject,
                "before": {"value": answer.before},
                "after": {"value": answer.after},
            },
        }


def _request(given: dict[str, t.Any]) -> allocations.Request:
    name, options = REQUESTS[given["type"]]
    fields = {option: given[option] for option in options if given[option] is not None}
    if given["type"] == "port":
        fields["pool"] = ipam.port_pool(given["host"])
    return getattr(allocations, name)(given["owner"], **fields)
