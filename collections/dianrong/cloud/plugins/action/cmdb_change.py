# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare a change ticket with its window and scope, and move its state."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    VERSION,
    WRITING,
    CmdbAction,
    Entry,
    Wanted,
    result,
    said,
)

STATES = ["draft", "approved", "open", "closed", "cancelled"]
FIELDS = {
    "title": {"type": "str"},
    "window_start": {"type": "raw"},
    "window_end": {"type": "raw"},
    "scope": {"type": "dict"},
    "attrs": {"type": "dict"},
}
OPTIONS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": [*STATES, "absent"]},
}


class ActionModule(CmdbAction):
    """The change of which other tasks name the ticket."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.options(WRITING, OPTIONS, FIELDS, VERSION)
        if given["state"] == "absent":
            return result(self.change([Wanted("change", {}, given["name"], "absent", given["version"])]))
        change = {"ticket": given["name"], **said(given, *FIELDS, "state")}
        return result(self.declare([Entry("changes", change, given["version"])]))
