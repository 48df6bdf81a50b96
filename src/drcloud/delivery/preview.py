"""A plan in words, for people who look at it before it is rolled. Pure, from the plan as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MIB = 1024**2
NOTHING = "-"


def batch(step: Mapping[str, Any]) -> str:
    """Return the number of a step's batch, counted from 1."""
    return NOTHING if step["batch"] < 0 else str(step["batch"] + 1)


def pulled(step: Mapping[str, Any]) -> str:
    """Return how much a host pulls: what of the image's layers it has not yet."""
    pull = step["pull"]
    if pull is None:
        return NOTHING
    return "?" if pull["bytes"] is None else f"{-(-pull['bytes'] // MIB)} MiB"


def because(step: Mapping[str, Any]) -> str:
    """Return why a host is rolled, field by field where that is known."""
    changes = ", ".join(step["changes"])
    return f"{step['reason']}: {changes}" if changes else str(step["reason"])


def service(plan: Mapping[str, Any]) -> str:
    """Return how many hosts serve and how many of them stay meanwhile."""
    if not plan["in_service"]:
        return f"none of {plan['placed']} hosts is in service"
    least = min(plan["staying"], default=plan["in_service"])
    return (
        f"{plan['in_service']} of {plan['placed']} hosts are in service, {plan['min_in_service']} must stay, "
        f"{least} {'does' if least == 1 else 'do'} while a batch is rolled"
    )


def images(plan: Mapping[str, Any]) -> list[str]:
    """Return the images that are pulled, each once."""
    return sorted({step["pull"]["image"] for step in plan["steps"] if step["pull"] is not None})


def lines(plan: Mapping[str, Any]) -> list[str]:
    """Return a plan as lines: one for each host, then what is pulled, and who stays in service."""
    return [
        *(_line(step) for step in plan["steps"]),
        *(f"pulled is {image}" for image in images(plan)),
        service(plan),
    ]


def _line(step: Mapping[str, Any]) -> str:
    rack = f" in {step['rack']}" if step["rack"] else ""
    pull = f", pulls {pulled(step)}" if step["pull"] is not None else ""
    return f"batch {batch(step)}: {step['host']}{rack}: {step['action']}{pull}, {because(step)}"
