# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host that somebody else set up, and declare in the CMDB what it has."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import WRITING, CmdbAction, plain, result

try:
    from drcloud.cmdb import adoption, observations
except ImportError:
    adoption = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.host_survey"


class ActionModule(CmdbAction):
    """The host is only read."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, declare, remember what was seen."""
        given = self.options(WRITING)
        store, host = self.store(), str(task_vars["inventory_hostname"])
        adoption.require_known(store, host)
        found = self._execute_module(module_name=MODULE, module_args={}, task_vars=task_vars)
        if found.get("failed") or found.get("unreachable"):
            return dict(found)
        survey = plain(found["survey"])
        unit = {"reason": given["reason"], "ticket": given["ticket"], "dry_run": self.check_mode}
        adopted = adoption.adopt(store, host, survey, **unit)
        if not self.check_mode:
            observations.record_survey(store, host, {**survey, "notes": list(adopted.notes)})
        return {**result(adopted.outcome), "notes": list(adopted.notes), "survey": survey}
