# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a switched host once more: a deployment is stable only if it is healthy everywhere."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger, verify
except ImportError:
    ledger = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Trouble goes to the ledger and comes back as data: the play after this one decides."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look at this host, where its step said that it is done or fell out of service."""
        given = self.arguments(rollout={"type": "dict", "required": True})
        begun = _roll.begun_of(given["rollout"])
        name = str(task_vars["inventory_hostname"])
        if self.check_mode:
            return {"trouble": ""}
        store = open_store()
        step = next(step for step in ledger.steps(store, begun.deployment) if step.host == name)
        if not verify.is_due(step):
            return {"trouble": ""}
        return {"trouble": _roll.verify(self, store, begun, name, task_vars)}
