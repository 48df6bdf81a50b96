# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switch one host to the new revision: claim its step, act, commit what was seen. Trouble comes as data."""

from __future__ import annotations

import time
import traceback
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger, observe
    from drcloud.delivery.switch import Order, Outcome, Switch
    from drcloud.errors import DrcloudError
except ImportError:
    ledger = None  # ControllerAction says what is missing.


# Seconds between two looks at the first host.
WATCH = 1.0


class ActionModule(ControllerAction):
    """A failing task would end the play before its last play decides; so nothing here fails the task."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do this host's step, unless the roll has stopped."""
        given = self.arguments(
            rollout={"type": "dict", "required": True},
            plan={"type": "dict", "required": True},
            drain_timeout={"type": "float", "default": 30},
        )
        begun = _roll.begun_of(given["rollout"])
        name = str(task_vars["inventory_hostname"])
        if self.check_mode:
            return {"changed": True, "step": "would be rolled"}
        store = open_store()
        front = _roll.Front(self, begun, task_vars)
        if _roll.stopped_by(store, begun) is None:
            _roll.record_fallen(store, begun, front.seen())
        bad = _roll.stopped_by(store, begun)
        if bad is not None:
            return {"changed": False, "step": "skipped", "reason": f"the roll stopped at {bad.host}"}
        try:
            ledger.claim(store, begun.deployment, name, begun.token)
            outcome = self._switch(begun, name, _roll.plain(given), front, task_vars)
            ledger.commit(
                store, begun.deployment, name, begun.token, outcome.state, outcome.detail, outcome.slot
            )
            if outcome.instances is not None:
                observe.record(store, name, outcome.instances, "deploy")
            if outcome.state == "done" and name == given["plan"]["order"][0]:
                self._watch(store, begun, front, name, task_vars)
        except DrcloudError as error:
            return {"changed": True, "step": "failed", "reason": str(error)}
        return {"changed": True, "step": outcome.state, "slot": outcome.slot, **outcome.detail}

    def _watch(
        self, store: t.Any, begun: t.Any, front: t.Any, name: str, task_vars: dict[str, t.Any]
    ) -> None:
        """Watch the first host before the others follow; what goes wrong is in the ledger, and stops them."""
        seconds = begun.target.canary_watch
        end = time.monotonic() + seconds
        while time.monotonic() < end and not _roll.record_fallen(store, begun, front.seen()):
            time.sleep(min(WATCH, max(0.0, end - time.monotonic())))
        if seconds and _roll.stopped_by(store, begun) is None:
            _roll.verify(self, store, begun, name, task_vars)

    def _switch(
        self, begun: t.Any, name: str, given: dict[str, t.Any], front: t.Any, task_vars: dict[str, t.Any]
    ) -> t.Any:
        """Switch, and turn a bug into a failed step: the roll must come to its end."""
        target = begun.target
        try:
            order = _order(target, name, given, front.last, task_vars)
            before = target.hooks_of("before", "host")
            if name == given["plan"]["order"][0]:
                before = [*target.hooks_of("before", "roll"), *before]
            switch = Switch(order, _roll.Host(self, begun, name, task_vars), front.balancers)
            switch.hooks = before, target.hooks_of("after", "host")
            return switch.run()
        except DrcloudError as error:
            return Outcome("failed", None, {"reason": str(error), "kind": "balancer"}, None)
        except Exception as error:
            detail = {
                "reason": f"internal error, please report it: {type(error).__name__}: {error}",
                "kind": "bug",
                "trace": traceback.format_exc().splitlines()[-12:],
            }
            return Outcome("failed", None, detail, None)


def _order(
    target: t.Any, name: str, given: dict[str, t.Any], pools: t.Any, task_vars: dict[str, t.Any]
) -> t.Any:
    """Return what the switch of a host needs to know."""
    return Order(
        host=name,
        app=target.app,
        env=target.env,
        revision=target.revision,
        pool=target.pool,
        instances=tuple(_roll.plain(task_vars["dr_prepared"])["instances"]),
        batch=tuple(given["plan"]["batches"][name]),
        min_in_service=target.min_in_service,
        stable=given["plan"]["stable"],
        drain_timeout=given["drain_timeout"],
        keep=name in given["plan"]["finish"],
        pools=pools,
    )
