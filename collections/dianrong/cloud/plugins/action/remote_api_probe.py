# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find an engine's listeners on its host, knock at them from here, and judge."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _listeners, _probe
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction

MODULE = "dianrong.cloud.remote_api_probe"
OPTIONS = {
    "expected": {"type": "list", "elements": "int", "default": []},
    "others": {"type": "list", "elements": "int", "default": []},
    "targets": {
        "type": "list",
        "elements": "dict",
        "options": {"address": {"type": "str", "required": True}, "port": {"type": "int", "required": True}},
    },
    "timeout": {"type": "float", "default": 3.0},
    "socket": {"type": "path", "default": "/var/run/docker.sock"},
}


class ActionModule(ControllerAction):
    """Handshakes from the host itself and from the controller, or from the host a task is delegated to."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look, knock, judge."""
        given = self.arguments(**OPTIONS)
        seen = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        if seen.get("failed") or seen.get("unreachable"):
            return seen
        host = task_vars["inventory_hostname"]
        source = self._task.delegate_to or host
        within = [{**one, "source": source} for one in seen["handshakes"]]
        if given["targets"] is not None:
            return _judged(within, _listeners.undecided(within, given["expected"]), host)
        return self._from_outside(given, seen, within, task_vars)

    def _from_outside(
        self,
        given: dict[str, t.Any],
        seen: dict[str, t.Any],
        within: list[dict[str, t.Any]],
        task_vars: dict[str, t.Any],
    ) -> dict[str, t.Any]:
        host = task_vars["inventory_hostname"]
        wanted = _listeners.targets(seen, task_vars.get("ansible_host") or host)
        handshakes = within + _probe.knock(wanted, given["timeout"])
        said = _listeners.objections(seen, handshakes, given["expected"], given["others"])
        # Of 50,000 hosts only those that have a Remote API look for a neighbour.
        beside = _neighbour(host, task_vars) if given["expected"] else ""
        return {
            **_judged(handshakes, said, host),
            "neighbour": beside,
            "listeners": seen["listeners"],
            "targets": [{"address": one.address, "port": one.port} for one in wanted],
        }


def _neighbour(host: str, task_vars: dict[str, t.Any]) -> str:
    groups = task_vars.get("groups") or {}
    engines, serving = groups.get("role_docker") or (), groups.get("state_active") or ()
    return _listeners.neighbour(host, task_vars.get("ansible_play_hosts") or (), engines, serving)


def _judged(handshakes: list[dict[str, t.Any]], said: list[str], host: str) -> dict[str, t.Any]:
    keys = ("source", "address", "port", "state", "detail")
    result = {"changed": False, "handshakes": [{key: one[key] for key in keys} for one in handshakes]}
    return {**result, "failed": True, "msg": f"engine of {host}: {'; '.join(said)}"} if said else result
