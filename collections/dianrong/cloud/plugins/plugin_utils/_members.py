# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's servers at every load balancer: what they are, whether they may leave, all changed or none."""

from __future__ import annotations

import time
import typing as t

try:
    from drcloud.delivery import haproxy
    from drcloud.delivery.switch import BalancerError, StepError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.

LOOK = 0.2
SLOTS = ("a", "b")
# By load balancer and server.
States = dict[str, dict[str, str]]


def needed(given: int | None, known: t.Mapping[str, t.Any]) -> int:
    """Return how many hosts must stay in service: what the task says, else what the CMDB does."""
    return given if given is not None else max((pool["min_in_service"] for pool in known.values()), default=0)


def states(seen: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> dict[str, dict[str, str]]:
    for lb, pool in seen.items():
        for name in haproxy.missing(pool, servers):
            raise BalancerError(f"load balancer {lb} does not know server {name}: provision it")
    return {lb: {name: pool[name].admin for name in servers} for lb, pool in seen.items()}


def require_capacity(seen: t.Mapping[str, t.Any], host: str, servers: t.Sequence[str], needed: int) -> None:
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


def applied(
    balancers: t.Any, pool: str, servers: t.Sequence[str], before: States, wanted: States
) -> dict[str, t.Any]:
    """Tell every load balancer and return what they say then; where one fails, put the others back."""
    try:
        for error in balancers.tell_each(lines_of(pool, wanted)).values():
            raise error
        seen = balancers.pools()
        require_read_back(states(seen, servers), wanted)
    except BalancerError as error:
        lost = balancers.tell_each(lines_of(pool, before))
        words = [f"{lb} is as it was" for lb in sorted(set(before) - set(lost))]
        words += [f"{lb} may have changed" for lb in sorted(lost)]
        raise BalancerError(f"{error}; {', '.join(words)}") from error
    return seen


def lines_of(pool: str, states: States) -> dict[str, list[str]]:
    return {
        lb: [haproxy.put(pool, name, state) for name, state in each.items()] for lb, each in states.items()
    }


def require_read_back(found: t.Mapping[str, t.Any], wanted: t.Mapping[str, t.Any]) -> None:
    for lb, states in found.items():
        for name, state in states.items():
            if state != wanted[lb][name]:
                raise BalancerError(
                    f"load balancer {lb} was told to {wanted[lb][name]} {name}, but says {state}"
                )


def sessions(seen: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> int:
    return sum(pool[name].sessions for pool in seen.values() for name in servers)


def waited(
    balancers: t.Any, seen: dict[str, t.Any], servers: t.Sequence[str], state: str, seconds: float
) -> dict[str, t.Any]:
    """Wait until who left has no request any more, or who came back is in service at every load balancer."""

    def settled() -> bool:
        if state != "ready":
            return sessions(seen, servers) == 0
        return all(any(pool[name].in_service for name in servers) for pool in seen.values())

    end = time.monotonic() + seconds
    while seconds and not settled():
        if time.monotonic() >= end:
            left = (
                f"{sessions(seen, servers)} requests are left on"
                if state != "ready"
                else "no check passes for"
            )
            raise StepError(f"{left} {' and '.join(servers)} after {seconds:.0f} s", "app")
        time.sleep(LOOK)
        seen = balancers.pools()
    return seen
