# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promote: let a tag of an app name an image that is in the registry already."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import promotion
except ImportError:
    promotion = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """What ``drcloud promote`` does, as a task."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply; check mode stops before the last."""
        name = {"type": "str", "required": True}
        given = plain(
            self.arguments(
                app=name,
                source=name,
                tag=name,
                reason={"type": "str"},
                ticket={"type": "str"},
                cmdb_url={"type": "str"},
            )
        )
        request = promotion.Request(
            given["app"], given["source"], given["tag"], given["reason"] or None, given["ticket"] or None
        )
        done = promotion.promote(open_store(given["cmdb_url"]), request, check=self.check_mode)
        before, after = done.diff()
        header = f"{done.app}:{done.channel}"
        return {
            **done.as_document(),
            "diff": {
                "before_header": header,
                "after_header": header,
                "before": f"{json.dumps(before, indent=2)}\n",
                "after": f"{json.dumps(after, indent=2)}\n",
            },
        }
