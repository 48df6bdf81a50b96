# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a host back on the revision it ran before a deployment that failed. Trouble comes as data."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger, observe
    from drcloud.delivery.switch import Order, Switch
    from drcloud.errors import DrcloudError
except ImportError:
    ledger = None  # ControllerAction says what is missing.

# A host is put back that was switched, failed in service, or was switched by a deployment cut short.
FROM = ("done", "failed", "unchanged")


class ActionModule(ControllerAction):
    """A switch in the other direction, in the same step of the ledger."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Switch this host back."""
        given = self.arguments(
            rollouts={"type": "dict", "required": True},
            drain_timeout={"type": "float", "default": 30},
        )
        name = str(task_vars["inventory_hostname"])
        begun = _roll.begun_of(given["rollouts"][name])
        if self.check_mode:
            return {"changed": True, "step": "would be put back"}
        store = open_store()
        try:
            before = next(step for step in ledger.steps(store, begun.deployment) if step.host == name)
            ledger.claim(store, begun.deployment, name, begun.token, FROM)
            outcome = self._switch(begun, name, given["drain_timeout"], task_vars)
            state, detail = _ended(before, outcome, begun.target)
            ledger.commit(store, begun.deployment, name, begun.token, state, detail, outcome.slot)
            if outcome.instances is not None:
                observe.record(store, name, outcome.instances, "deploy")
        except DrcloudError as error:
            return {"changed": True, "step": "failed", "reason": str(error)}
        return {"changed": True, "step": state, "slot": outcome.slot, **detail}

    def _switch(self, begun: t.Any, name: str, drain_timeout: float, task_vars: dict[str, t.Any]) -> t.Any:
        """Start what was, next to what is. The host serves all the time, so no other one is asked for."""
        target = begun.target
        host = _roll.Host(self, begun, name, task_vars)
        order = Order(
            host=name,
            app=target.app,
            env=target.env,
            revision=target.revision,
            pool=target.pool,
            instances=tuple(host.observe()),
            batch=(name,),
            min_in_service=0,
            stable=target.revision,
            drain_timeout=drain_timeout,
            keep=True,
        )
        return Switch(order, host, _roll.Front(self, begun, task_vars).balancers).run()


def _ended(before: t.Any, outcome: t.Any, target: t.Any) -> tuple[str, dict[str, t.Any]]:
    """Return the state and the detail of a step after it was put back: why it failed is kept."""
    what = f"{target.tag} ({target.revision[:8]})"
    own = before.detail if before.state == "failed" else {}
    if outcome.state == "done":
        times = {"times": outcome.detail.get("times", {})}
        return "reverted", {"reason": f"put back to {what}", "put_back": not own, **own, **times}
    first = f"{own['reason']}; " if own else ""
    why = outcome.detail.get("reason", "no reason recorded")
    reason = f"{first}cannot be put back to {what}: {why}"
    return _bad(outcome.state), {**outcome.detail, "reason": reason}


def _bad(state: str) -> str:
    return "unreachable" if state == "unreachable" else "failed"
