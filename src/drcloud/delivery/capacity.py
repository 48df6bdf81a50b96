"""The question of capacity: how many members of a pool are in service, at every load balancer.

Pure. A request may come to any load balancer, so a member counts only where all of them send it requests;
a load balancer that does not answer sends none, and neither does one that drains.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from drcloud.delivery import haproxy
from drcloud.delivery.haproxy import Pool, Server


def capacity(
    answers: Mapping[str, Pool | Exception], members: Collection[str], leaving: Collection[str], needed: int
) -> dict[str, Any]:
    """Return who is in service at every load balancer, and whether that is enough without ``leaving``.

    ``answers`` are pools by load balancer, or the error of one that could not be asked; ``members`` are
    the hosts that should be there, so that one which a load balancer does not know counts as down.
    """
    serving = [
        haproxy.hosts_in_service(answer) if isinstance(answer, dict) else frozenset()
        for answer in answers.values()
    ]
    in_service = frozenset.intersection(*serving) if serving else frozenset()
    staying = in_service - frozenset(leaving)
    return {
        "in_service": sorted(in_service),
        "down": sorted(frozenset(members) - in_service),
        "count": len(in_service),
        "staying": len(staying),
        "min_in_service": needed,
        "enough": len(staying) >= needed,
        "lbs": {lb: _told(answer) for lb, answer in sorted(answers.items())},
    }


def batches(hosts: Sequence[str], fronts: Collection[tuple[frozenset[str], int]], at_most: int) -> list[int]:
    """Return how many hosts may leave at a time, in their order, when those before are back.

    ``fronts`` are, for each pool at each load balancer, who is in service there and how many must stay. A
    batch has one host at least: where not even that one may leave, it is refused when it is its turn.
    """
    found: list[list[str]] = []
    for host in hosts:
        group = [*found[-1], host] if found else []
        if group and len(group) <= at_most and not any(_short(*front, group) for front in fronts):
            found[-1] = group
        else:
            found.append([host])
    return [len(batch) for batch in found]


def _short(serving: frozenset[str], needed: int, leaving: Collection[str]) -> bool:
    staying = serving.difference(leaving)
    return staying != serving and len(staying) < needed


def _told(answer: Pool | Exception) -> dict[str, Any]:
    if isinstance(answer, Exception):
        return {"answers": False, "reason": str(answer), "in_service": [], "servers": {}}
    return {
        "answers": True,
        "reason": None,
        "in_service": sorted(haproxy.hosts_in_service(answer)),
        "servers": {name: _server(server) for name, server in sorted(answer.items())},
    }


def _server(server: Server) -> dict[str, Any]:
    return {
        "host": server.host,
        "state": server.admin,
        "running": server.running,
        "sessions": server.sessions,
        "in_service": server.in_service,
    }
