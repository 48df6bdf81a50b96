# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See which instances are on a host and record them in the CMDB."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import COMMON, CmdbAction, plain

try:
    from drcloud.cmdb.base import now
    from drcloud.delivery import observe
except ImportError:
    observe = now = None  # ControllerAction says what is missing.

SOURCE = {"source": {"type": "str", "default": "observe"}}


class ActionModule(CmdbAction):
    """Run ``instances_info`` on the host; what came back is an observation, not a change."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look, and record unless in check mode."""
        given = self.options(COMMON, SOURCE)
        store = self.store()
        host = str(task_vars["inventory_hostname"])
        # What happens on the host while it is looked at may be newer than what is seen.
        began = now()
        result = self._execute_module(
            module_name="dianrong.cloud.instances_info",
            module_args={"probes": observe.probes(store, host)},
            task_vars=task_vars,
        )
        if not result.get("failed") and not result.get("unreachable") and not self.check_mode:
            seen = plain(result)
            observe.record(store, host, seen["instances"], given["source"], began, seen["strangers"])
        return result
