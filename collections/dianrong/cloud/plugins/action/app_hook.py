# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run what is to be run after a roll, once all its hosts are done. Trouble comes as data."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger
    from drcloud.errors import DrcloudError, UnreachableError
except ImportError:
    ledger = None  # ControllerAction says what is missing.

GOOD = ("done", "unchanged")


class ActionModule(ControllerAction):
    """On the host of the task, which is one of those that were switched."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run the hooks one after the other; the first that fails makes this host's step fail."""
        given = self.arguments(rollout={"type": "dict", "required": True})
        begun = _roll.begun_of(given["rollout"])
        hooks = begun.target.hooks_of("after", "roll")
        if self.check_mode or not hooks:
            return {"changed": bool(hooks), "trouble": ""}
        store, name = open_store(), str(task_vars["inventory_hostname"])
        if any(step.state not in GOOD for step in ledger.steps(store, begun.deployment)):
            return {"changed": False, "trouble": ""}
        try:
            for hook in hooks:
                _roll.Host(self, begun, name, task_vars).hook(hook)
        except DrcloudError as error:
            kind = "host" if isinstance(error, UnreachableError) else str(getattr(error, "kind", "host"))
            detail = {"reason": str(error), "kind": kind, "logs": list(getattr(error, "logs", ()))}
            ledger.fail(store, begun.deployment, name, begun.token, "failed", detail)
            return {"changed": True, "trouble": str(error)}
        return {"changed": True, "trouble": ""}
