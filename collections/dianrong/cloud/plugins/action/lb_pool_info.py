# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many members of a pool are in service at every load balancer; never changes anything."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction

try:
    from drcloud.delivery import haproxy
    from drcloud.delivery.capacity import capacity
    from drcloud.errors import NothingMatchedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Ask every load balancer; one that does not answer serves nobody."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask, and count."""
        given = self.arguments(
            app={"type": "str", "required": True},
            env={"type": "str", "required": True},
            lbs={"type": "list", "elements": "str"},
            leaving={"type": "list", "elements": "str", "default": []},
        )
        pool = haproxy.pool_name(given["app"], given["env"])
        known = _balancers.in_front(pool, task_vars)
        lbs = [str(lb) for lb in given["lbs"] or known]
        if not lbs:
            raise NothingMatchedError(f"no load balancer in service has the pool {pool}")
        members = {member["host"] for found in known.values() for member in found["members"]}
        needed = max((found["min_in_service"] for found in known.values()), default=0)
        answers = _balancers.connect(self, pool, lbs, task_vars).answers()
        found = capacity(answers, members, [str(host) for host in given["leaving"]], needed)
        return {"changed": False, "pool": pool, **found}
