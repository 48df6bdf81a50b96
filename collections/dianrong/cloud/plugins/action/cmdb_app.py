# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare an app: its registry and specification, its configurations, and where it runs."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    PRESENCE,
    VERSION,
    WRITING,
    CmdbAction,
    Entry,
    Wanted,
    result,
    said,
)

NAMES = {"type": "list", "elements": "str"}
PLACEMENT = {
    "env": {"type": "str", "required": True},
    "hosts": NAMES,
    "min_in_service": {"type": "int"},
    "batch": {"type": "str"},
    "lb_port": {"type": "int"},
    "lbs": NAMES,
    "attrs": {"type": "dict"},
}
CONFIG = {"env": {"type": "str", "required": True}, "document": {"type": "dict", "required": True}}
FIELDS = {
    "registry": {"type": "str"},
    "spec": {"type": "dict"},
    "attrs": {"type": "dict"},
}
PARTS = {
    "placements": {"type": "list", "elements": "dict", "default": [], "options": PLACEMENT},
    "configs": {"type": "list", "elements": "dict", "default": [], "options": CONFIG},
}


class ActionModule(CmdbAction):
    """The same writer as an import: a specification that differs becomes a new version."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.options(
            WRITING, PRESENCE, VERSION, {"name": {"type": "str", "required": True}}, FIELDS, PARTS
        )
        name = given["name"]
        if given["state"] == "absent":
            return result(self.change([Wanted("app", {}, name, "absent", given["version"])]))
        app = {"name": name, **said(given, *FIELDS)}
        placements = [{"app": name, **said(one, *PLACEMENT)} for one in given["placements"]]
        configs = [{"app": name, **one} for one in given["configs"]]
        return result(
            self.declare(
                [
                    Entry("apps", app, given["version"]),
                    *(Entry("app_configs", one) for one in configs),
                    *(Entry("placements", one) for one in placements),
                ]
            )
        )
