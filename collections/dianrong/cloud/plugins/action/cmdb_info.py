# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read declared objects of the CMDB; never change anything."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import COMMON, CmdbAction, found, reading


class ActionModule(CmdbAction):
    """Objects of one kind, by name and by the values of their fields."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read."""
        given = self.options(
            COMMON,
            {
                "kind": {"type": "str", "required": True},
                "names": {"type": "list", "elements": "str", "default": [], "aliases": ["name"]},
                "filters": {"type": "dict", "default": {}},
                "as_of": {"type": "str"},
            },
        )
        seen = reading.read(
            self.store(), given["kind"], given["names"], where=given["filters"], as_of=given["as_of"]
        )
        return {"changed": False, "objects": [found(one) for one in seen]}
