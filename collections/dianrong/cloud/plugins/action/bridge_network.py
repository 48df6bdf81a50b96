# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of bridge_network: confirm over a fresh connection what the host's module changed."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction
from ansible_collections.dianrong.cloud.plugins.plugin_utils._guarded import guarded

MODULE = "dianrong.cloud.bridge_network"


class ActionModule(ControllerAction):
    """Run the module under the host's guard; it checks its options itself."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Change and confirm."""
        seconds = int(self._task.args.get("seconds", 60))
        return guarded(self, MODULE, self._task.args, task_vars, name="network", seconds=seconds)
