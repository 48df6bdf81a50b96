# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many hosts may be out of service at a time; never changes anything."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _members
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction

try:
    from drcloud.delivery import capacity, haproxy
except ImportError:
    haproxy = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Ask every load balancer once, for all hosts."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask, and count."""
        given = plain(
            self.arguments(
                hosts={"type": "list", "elements": "str", "required": True},
                at_most={"type": "int", "default": 1},
            )
        )
        # One at a time is asked for when it is its turn.
        fronts = self._fronts(given["hosts"], task_vars) if given["at_most"] > 1 else []
        return {"changed": False, "batches": capacity.batches(given["hosts"], fronts, given["at_most"])}

    def _fronts(self, hosts: list[str], task_vars: dict[str, t.Any]) -> list[tuple[frozenset[str], int]]:
        """Return who is in service, and how many must stay, for each pool at each load balancer."""
        return [
            (haproxy.hosts_in_service(seen), _members.needed(None, known))
            for pool, known in _balancers.of_hosts(hosts, task_vars).items()
            for seen in _balancers.connect(self, pool, list(known), task_vars).pools().values()
        ]
