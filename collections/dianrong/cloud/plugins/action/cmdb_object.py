# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring any declared objects of the CMDB to what a task says, all in one transaction."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    PRESENCE,
    VERSION,
    WRITING,
    CmdbAction,
    Wanted,
    result,
)

OBJECT = {
    "kind": {"type": "str"},
    "name": {"type": "str"},
    "fields": {"type": "dict", "default": {}},
    **PRESENCE,
    **VERSION,
}
OBJECTS = {
    "objects": {
        "type": "list",
        "elements": "dict",
        "options": {**OBJECT, "kind": {"type": "str", "required": True}},
    }
}
RULES = {"required_one_of": [("kind", "objects")], "mutually_exclusive": [("kind", "objects")]}


class ActionModule(CmdbAction):
    """One object, or many in one call."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.options(WRITING, OBJECT, OBJECTS, **RULES)
        many = given["objects"] if given["objects"] is not None else [given]
        return result(self.change(_wanted(one) for one in many))


def _wanted(one: dict[str, t.Any]) -> Wanted:
    return Wanted(one["kind"], one["fields"], one["name"], one["state"], one["version"])
