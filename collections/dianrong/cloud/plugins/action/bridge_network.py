# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of bridge_network: reserve the containers' addresses, confirm over a fresh connection."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import allocations, plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store
from ansible_collections.dianrong.cloud.plugins.plugin_utils._guarded import guarded

try:
    from drcloud.cmdb.declared import SUBNET_LENGTHS
except ImportError:
    SUBNET_LENGTHS = {}  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.bridge_network"
REASON = "bridge_network"


class ActionModule(ControllerAction):
    """Run the module under the host's guard; it checks its options itself."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Reserve, change and confirm. What the host refuses leaves nothing reserved."""
        given = plain(dict(self._task.args))
        requests = _requests(given, str(task_vars["inventory_hostname"]))
        answers = self._ask(requests, dry_run=True)
        new = {name: one for name, one in answers.items() if one.before is None}
        if new and not self.check_mode:
            with self._only_looking():
                looked = self._execute_module(
                    module_name=MODULE, module_args=_with(given, answers), task_vars=task_vars
                )
            if looked.get("failed"):
                return dict(looked)
            answers = self._ask(requests, dry_run=False)
        seconds = int(given.get("seconds", 60))
        result = guarded(self, MODULE, _with(given, answers), task_vars, name="network", seconds=seconds)
        if not new or result.get("failed"):
            return result
        told = [_reserved(requests[name].owner, answers[name].after) for name in new]
        return {**result, "changed": True, "diff": [*told, *result.get("diff", [])]}

    def _ask(
        self, requests: dict[str, allocations.Subnet], *, dry_run: bool
    ) -> dict[str, allocations.Answer]:
        """Return what belongs to each bridge, or would; who has it already gets the same again."""
        store = open_store() if requests else None
        return {
            name: allocations.allocate(store, request, reason=REASON, dry_run=dry_run)
            for name, request in requests.items()
        }

    @contextlib.contextmanager
    def _only_looking(self) -> t.Iterator[None]:
        """Have the host's module tell what it would do."""
        self._task.check_mode = True
        try:
            yield
        finally:
            self._task.check_mode = False


def _declared(given: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the bridges whose addresses come from the CMDB, as far as they make sense; the module tells."""
    bridges = given.get("bridges")
    listed = [one for one in bridges if isinstance(one, dict)] if isinstance(bridges, list) else []
    return [one for one in listed if one.get("containers") and one.get("mode") in SUBNET_LENGTHS]


def _requests(given: dict[str, t.Any], host: str) -> dict[str, allocations.Subnet]:
    return {
        one["name"]: allocations.Subnet(
            f"{host}/containers/{one['name']}",
            prefix=one["containers"],
            length=int(one.get("length") or SUBNET_LENGTHS[one["mode"]]),
        )
        for one in _declared(given)
        if one.get("name")
    }


def _with(given: dict[str, t.Any], answers: dict[str, allocations.Answer]) -> dict[str, t.Any]:
    """Return the module's arguments with the slices that the CMDB gives."""
    if not answers:
        return given
    bridges = [
        {**one, "slice": answers[one["name"]].after}
        if isinstance(one, dict) and one.get("name") in answers
        else one
        for one in given["bridges"]
    ]
    return {**given, "bridges": bridges}


def _reserved(owner: str, value: t.Any) -> dict[str, t.Any]:
    subject = f"CMDB: subnet of {owner}"
    return {
        "before_header": subject,
        "after_header": subject,
        "before": {"value": None},
        "after": {"value": value},
    }
