# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of firewall_zones: what it changed is confirmed over a fresh connection."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction
from ansible_collections.dianrong.cloud.plugins.plugin_utils._guarded import guarded

MODULE = "dianrong.cloud.firewall_zones"
SECONDS = 30


class ActionModule(ControllerAction):
    """Run the host's module under its guard."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Change, and confirm."""
        given = dict(self._task.args)
        seconds = int(given.get("confirm_within") or SECONDS)
        return guarded(self, MODULE, given, task_vars, name="firewall", seconds=seconds)
