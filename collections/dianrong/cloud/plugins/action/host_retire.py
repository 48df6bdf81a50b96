# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove all instances of ours from a host, free what it has in the CMDB, and retire it there."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _locks, _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import observe, service
    from drcloud.errors import DrcloudError, UnreachableError
except ImportError:
    service = None  # ControllerAction says what is missing.

STATES = ("emptied", "freed", "retired")


class ActionModule(ControllerAction):
    """The host first, the CMDB last: what dies in between is done by the next run."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look, remove, retire."""
        given = self.arguments(
            reason={"type": "str", "required": True},
            ticket={"type": "str"},
            state={"type": "str", "choices": list(STATES), "default": "retired"},
        )
        store, host, state = open_store(), str(task_vars["inventory_hostname"]), given["state"]
        service.require_retirable(store, host)
        removed: list[str] = []
        lines: list[str] = []
        # Who was emptied may have no engine any more that could be asked.
        if state == "retired" or (state == "emptied" and not service.is_emptied(store, host)):
            removed, lines = self._empty(store, host, task_vars)
        if state != "emptied" and not self.check_mode:
            lines += service.retire(store, host, reason=given["reason"], ticket=given["ticket"])
        return {
            "changed": bool(removed) or state != "emptied",
            "removed": removed,
            "diff": {"before": "", "after": "".join(f"{line}\n" for line in lines)},
        }

    def _empty(self, store: t.Any, host: str, task_vars: dict[str, t.Any]) -> tuple[list[str], list[str]]:
        """Remove all instances; return what was there, and what was done."""
        found = self._module(task_vars, app="", env="", state="observed")
        places = sorted({(str(one["app"]), str(one["env"]), str(one["slot"])) for one in found})
        lines = [f"remove {one['name']}" for one in found]
        if not self.check_mode:
            for place in places:
                found = self._remove(store, host, place, task_vars)
            observe.record(store, host, found, service.DECOMMISSION)
        return [f"{app}@{env} {slot}" for app, env, slot in places], lines

    def _remove(
        self, store: t.Any, host: str, place: tuple[str, str, str], task_vars: dict[str, t.Any]
    ) -> list[dict[str, t.Any]]:
        """Remove what is in one slot, while no roll of that app can be here."""
        app, env, slot = place
        name = f"app:{app}@{env}"
        with _locks.alone(store, name, f"decommission {host}"):
            token = _locks.token(store, name)
            return self._module(task_vars, app=app, env=env, slot=slot, state="absent", token=token)

    def _module(self, task_vars: dict[str, t.Any], **arguments: t.Any) -> list[dict[str, t.Any]]:
        try:
            result = self._execute_module(
                module_name=_roll.MODULE, module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            raise UnreachableError(str(error)) from error
        if result.get("unreachable"):
            raise UnreachableError(str(result.get("msg", "")))
        if result.get("failed") or "instances" not in result:
            raise DrcloudError(str(result.get("msg") or "the module ended without a result"))
        return _roll.plain(result["instances"])
