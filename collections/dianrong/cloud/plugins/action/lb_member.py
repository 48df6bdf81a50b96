# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a host's slots ready, drained or in maintenance at every load balancer, and read it back."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks, _members
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import haproxy
    from drcloud.errors import NothingMatchedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Read, ask for capacity, apply, read back."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Bring a host's servers to a state at every load balancer."""
        given = self.arguments(
            app={"type": "str", "required": True},
            env={"type": "str", "required": True},
            host={"type": "str", "required": True},
            slot={"type": "str", "choices": list(_members.SLOTS)},
            state={"type": "str", "required": True, "choices": ["ready", "drain", "maint"]},
            lbs={"type": "list", "elements": "str"},
            min_in_service={"type": "int"},
            wait={"type": "float", "default": 0},
        )
        pool = haproxy.pool_name(given["app"], given["env"])
        known = _balancers.in_front(pool, task_vars)
        lbs = [str(lb) for lb in given["lbs"] or known]
        if not lbs:
            raise NothingMatchedError(f"no load balancer in service has the pool {pool}")
        balancers = _balancers.connect(self, pool, lbs, task_vars)
        slots = [given["slot"]] if given["slot"] else _members.SLOTS
        servers = [haproxy.server_name(given["host"], slot) for slot in slots]
        seen = balancers.pools()
        before = _members.states(seen, servers)
        wanted = {lb: dict.fromkeys(servers, given["state"]) for lb in before}
        if before != wanted:
            with self._alone(pool, given):
                # Somebody else may have taken out another host since.
                seen = balancers.pools()
                before = _members.states(seen, servers)
                if given["state"] != "ready":
                    needed = _members.needed(given["min_in_service"], known)
                    _members.require_capacity(seen, given["host"], servers, needed)
                if not self.check_mode:
                    held = balancers.under(_locks.token(open_store(), f"lb:{pool}"))
                    seen = _members.applied(held, pool, servers, before, wanted)
        if not self.check_mode:
            seen = _members.waited(balancers, seen, servers, given["state"], given["wait"])
        return {
            "changed": before != wanted,
            "servers": servers,
            "sessions": _members.sessions(seen, servers),
            "diff": {"before": before, "after": wanted},
        }

    def _alone(self, pool: str, given: t.Mapping[str, t.Any]) -> t.ContextManager[None]:
        """Keep rolls, and others who count on the same pool, out until this is done."""
        if self.check_mode:
            return contextlib.nullcontext()
        return _locks.alone(open_store(), f"lb:{pool}", f"{given['state']} {given['host']}")
