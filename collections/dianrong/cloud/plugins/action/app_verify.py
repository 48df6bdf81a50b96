# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a switched host once more: a deployment is stable only if it is healthy everywhere."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger, observe, verify
    from drcloud.errors import DrcloudError, UnreachableError
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
        state, trouble = self._look(store, begun, name, task_vars)
        if trouble:
            detail = {"reason": trouble, "kind": "host" if state == "unreachable" else "app"}
            ledger.fail(store, begun.deployment, name, begun.token, state, detail, verify.DUE)
        return {"trouble": trouble}

    def _look(self, store: t.Any, begun: t.Any, name: str, task_vars: dict[str, t.Any]) -> tuple[str, str]:
        try:
            instances = _roll.Host(self, begun, name, task_vars).observe()
        except UnreachableError as error:
            return "unreachable", str(error)
        except DrcloudError as error:
            return "failed", str(error)
        observe.record(store, name, instances, "deploy")
        return "failed", verify.trouble(instances, begun.target.app, begun.target.env, begun.target.revision)
