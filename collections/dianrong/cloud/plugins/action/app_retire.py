# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an app off a host, inside a roll: drained at every load balancer first. Trouble comes as data."""

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


class ActionModule(ControllerAction):
    """The opposite of a switch: what runs is drained, ended and removed."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Retire the app here."""
        given = self.arguments(
            rollout={"type": "dict", "required": True},
            drain_timeout={"type": "float", "default": 30},
        )
        begun = _roll.begun_of(given["rollout"])
        name = str(task_vars["inventory_hostname"])
        try:
            instances = tuple(_roll.Host(self, begun, name, task_vars).module("observed"))
            running = any(_runs(entry, begun.target) for entry in instances)
            if self.check_mode:
                return {"changed": running, "step": "would be retired" if running else "nothing ran"}
            outcome = self._retire(begun, name, instances, given["drain_timeout"], task_vars)
        except DrcloudError as error:
            return {"changed": False, "step": "failed", "reason": str(error)}
        return {"changed": running and outcome.state == "done", "step": outcome.state, **outcome.detail}

    def _retire(
        self,
        begun: t.Any,
        name: str,
        instances: tuple[dict[str, t.Any], ...],
        drain_timeout: float,
        task_vars: dict[str, t.Any],
    ) -> t.Any:
        """Claim the host's step, act, commit what was seen."""
        store, target = open_store(), begun.target
        ledger.claim(store, begun.deployment, name, begun.token)
        order = Order(
            host=name,
            app=target.app,
            env=target.env,
            revision=target.revision,
            pool=target.pool,
            instances=instances,
            batch=(name,),
            min_in_service=target.min_in_service,
            drain_timeout=drain_timeout,
        )
        host = _roll.Host(self, begun, name, task_vars)
        outcome = Switch(order, host, _roll.Front(self, begun, task_vars).balancers).retire()
        ledger.commit(store, begun.deployment, name, begun.token, outcome.state, outcome.detail)
        if outcome.instances is not None:
            observe.record(store, name, outcome.instances, "retire")
        return outcome


def _runs(instance: t.Mapping[str, t.Any], target: t.Any) -> bool:
    return (instance["app"], instance["env"], instance["status"]) == (target.app, target.env, "running")
