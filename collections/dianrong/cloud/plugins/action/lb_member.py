# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set a host's slots ready, drained or in maintenance at every load balancer, and read it back."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import haproxy
    from drcloud.delivery.switch import BalancerError, StepError
    from drcloud.errors import NothingMatchedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.

LOOK = 0.2
SLOTS = ("a", "b")
# By load balancer and server.
States = dict[str, dict[str, str]]


class ActionModule(ControllerAction):
    """Read, ask for capacity, apply, read back."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Bring a host's servers to a state at every load balancer."""
        given = self.arguments(
            app={"type": "str", "required": True},
            env={"type": "str", "required": True},
            host={"type": "str", "required": True},
            slot={"type": "str", "choices": list(SLOTS)},
            state={"type": "str", "required": True, "choices": ["ready", "drain", "maint"]},
            lbs={"type": "list", "elements": "str"},
            min_in_service={"type": "int"},
            wait={"type": "float", "default": 0},
        )
        pool = haproxy.pool_name(given["app"], given["env"])
        known = _balancers.in_front(pool, task_vars)
        lbs = [str(lb) for lb in given["lbs"] or known]
        if not lbs:
            raise NothingMatchedError(f"no load balancer of the inventory has the pool {pool}")
        balancers = _balancers.connect(self, pool, lbs, task_vars)
        servers = [haproxy.server_name(given["host"], slot) for slot in SLOTS if slot == given["slot"]]
        servers = servers or [haproxy.server_name(given["host"], slot) for slot in SLOTS]
        seen = balancers.pools()
        before = _states(seen, servers)
        wanted = {lb: dict.fromkeys(servers, given["state"]) for lb in before}
        if before != wanted:
            with self._alone(pool, given):
                # Somebody else may have taken out another host since.
                seen = balancers.pools()
                before = _states(seen, servers)
                if given["state"] != "ready":
                    needed = _needed(given["min_in_service"], known)
                    _require_capacity(seen, given["host"], servers, needed)
                if not self.check_mode:
                    seen = _applied(balancers, pool, servers, before, wanted)
        if not self.check_mode:
            seen = _waited(balancers, seen, servers, given["state"], given["wait"])
        return {
            "changed": before != wanted,
            "servers": servers,
            "sessions": _sessions(seen, servers),
            "diff": {"before": before, "after": wanted},
        }

    def _alone(self, pool: str, given: t.Mapping[str, t.Any]) -> t.ContextManager[None]:
        """Keep rolls, and others who count on the same pool, out until this is done."""
        if self.check_mode:
            return contextlib.nullcontext()
        return _locks.alone(open_store(), f"lb:{pool}", f"{given['state']} {given['host']}")


def _needed(given: int | None, known: t.Mapping[str, t.Any]) -> int:
    """Return how many hosts must stay in service: what the task says, else what the CMDB does."""
    return given if given is not None else max((pool["min_in_service"] for pool in known.values()), default=0)


def _states(seen: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> dict[str, dict[str, str]]:
    for lb, pool in seen.items():
        for name in haproxy.missing(pool, servers):
            raise BalancerError(f"load balancer {lb} does not know server {name}: provision it")
    return {lb: {name: pool[name].admin for name in servers} for lb, pool in seen.items()}


def _require_capacity(seen: t.Mapping[str, t.Any], host: str, servers: t.Sequence[str], needed: int) -> None:
    """Refuse to take out what must stay; a host that serves nothing, or by its other slot, takes nothing."""
    leaving = {
        lb: {name: server for name, server in pool.items() if name not in servers}
        for lb, pool in seen.items()
        if any(pool[name].in_service for name in servers)
    }
    short = haproxy.shortage(leaving, [], needed)
    if short is not None:
        raise StepError(
            f"load balancer {short.lb} would keep {short.staying} hosts in service without {host}, and "
            f"{short.needed} must stay; bring others back first, or say min_in_service",
            "capacity",
        )


def _applied(
    balancers: t.Any, pool: str, servers: t.Sequence[str], before: States, wanted: States
) -> dict[str, t.Any]:
    """Tell every load balancer and return what they say then; where one fails, put the others back."""
    try:
        for error in balancers.tell_each(_lines(pool, wanted)).values():
            raise error
        seen = balancers.pools()
        _require_read_back(_states(seen, servers), wanted)
    except BalancerError as error:
        lost = balancers.tell_each(_lines(pool, before))
        words = [f"{lb} is as it was" for lb in sorted(set(before) - set(lost))]
        words += [f"{lb} may have changed" for lb in sorted(lost)]
        raise BalancerError(f"{error}; {', '.join(words)}") from error
    return seen


def _lines(pool: str, states: States) -> dict[str, list[str]]:
    return {
        lb: [haproxy.put(pool, name, state) for name, state in each.items()] for lb, each in states.items()
    }


def _require_read_back(found: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> None:
    for lb, states in found.items():
        for name, state in states.items():
            if state != wanted[lb][name]:
                raise BalancerError(
                    f"load balancer {lb} was told to {wanted[lb][name]} {name}, but says {state}"
                )


def _sessions(seen: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> int:
    return sum(pool[name].sessions for pool in seen.values() for name in servers)


def _waited(
    balancers: t.Any, seen: dict[str, t.Any], servers: t.Sequence[str], state: str, seconds: float
) -> dict[str, t.Any]:
    """Wait until who left has no request any more, or who came back is in service at every load balancer."""

    def settled() -> bool:
        if state != "ready":
            return _sessions(seen, servers) == 0
        return all(any(pool[name].in_service for name in servers) for pool in seen.values())

    end = time.monotonic() + seconds
    while seconds and not settled():
        if time.monotonic() >= end:
            left = (
                f"{_sessions(seen, servers)} requests are left on"
                if state != "ready"
                else "no check passes for"
            )
            raise StepError(f"{left} {' and '.join(servers)} after {seconds:.0f} s", "app")
        time.sleep(LOOK)
        seen = balancers.pools()
    return seen
