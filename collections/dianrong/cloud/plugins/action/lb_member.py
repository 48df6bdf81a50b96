# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a host's slot ready, drained or in maintenance at every load balancer, and read it back."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction

try:
    from drcloud.delivery import haproxy
    from drcloud.delivery.switch import BalancerError
    from drcloud.errors import NothingMatchedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Read, plan, apply, read back."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Bring one server to a state at every load balancer."""
        given = self.arguments(
            app={"type": "str", "required": True},
            env={"type": "str", "required": True},
            host={"type": "str", "required": True},
            slot={"type": "str", "required": True, "choices": ["a", "b"]},
            state={"type": "str", "required": True, "choices": ["ready", "drain", "maint"]},
            lbs={"type": "list", "elements": "str"},
        )
        pool = haproxy.pool_name(given["app"], given["env"])
        server = haproxy.server_name(given["host"], given["slot"])
        lbs = [str(lb) for lb in given["lbs"] or _in_front(pool, task_vars)]
        if not lbs:
            raise NothingMatchedError(f"no load balancer of the inventory has the pool {pool}")
        balancers = _balancers.connect(self, pool, lbs, task_vars)
        before = _states(balancers, server)
        wanted = dict.fromkeys(before, given["state"])
        changed = before != wanted
        if changed and not self.check_mode:
            balancers.tell([haproxy.put(pool, server, given["state"])])
            _require(_states(balancers, server), wanted, server)
        return {"changed": changed, "server": server, "diff": {"before": before, "after": wanted}}


def _in_front(pool: str, task_vars: dict[str, t.Any]) -> list[str]:
    variables = task_vars["hostvars"]
    return [
        host
        for host in sorted(task_vars["groups"].get("role_lb", []))
        if any(found["name"] == pool for found in variables[host].get("dr_lb_pools", []))
    ]


def _states(balancers: t.Any, server: str) -> dict[str, str]:
    found = {}
    for lb, servers in balancers.pools().items():
        if server not in servers:
            raise BalancerError(f"load balancer {lb} does not know server {server}: provision it")
        found[lb] = servers[server].admin
    return found


def _require(found: dict[str, str], wanted: dict[str, str], server: str) -> None:
    for lb, state in found.items():
        if state != wanted[lb]:
            raise BalancerError(f"load balancer {lb} was told to {wanted[lb]} {server}, but says {state}")
