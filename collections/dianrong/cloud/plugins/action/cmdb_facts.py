# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host's facts and record them in the CMDB."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import COMMON, CmdbAction

try:
    from drcloud.cmdb import observations
except ImportError:
    observations = None  # ControllerAction says what is missing.


class ActionModule(CmdbAction):
    """Run ``host_facts`` on the host; what came back is an observation, not a change."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, and record unless in check mode."""
        self.options(COMMON)
        result = self._execute_module(
            module_name="dianrong.cloud.host_facts", module_args={}, task_vars=task_vars
        )
        if not result.get("failed") and not result.get("unreachable") and not self.check_mode:
            observations.record_facts(self.store(), task_vars["inventory_hostname"], result["facts"])
        return result
