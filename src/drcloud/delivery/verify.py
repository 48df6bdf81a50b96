"""Whether a host that was switched still runs what it was switched to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drcloud.delivery.ledger import StepRow

# A step that said "done", or that a load balancer's word made "failed": the host itself has the last word.
DUE = ("done", "failed")


def is_due(step: StepRow) -> bool:
    """Tell whether the host of a step is to be looked at."""
    return step.state == "done" or (step.state == "failed" and bool(step.detail.get("fell")))


def trouble(instances: Sequence[Mapping[str, Any]], app: str, env: str, revision: str) -> str:
    """Return what is wrong with the instance of a revision on a host, or an empty text."""
    mine = [found for found in instances if (found["app"], found["env"]) == (app, env)]
    of_revision = [found for found in mine if found["revision"] == revision and found["status"] != "exited"]
    if not of_revision:
        ended = [found for found in mine if found["revision"] == revision]
        return "its new instance ended" if ended else "its new instance is gone"
    found = of_revision[0]
    if found.get("restarts"):
        times = "once" if found["restarts"] == 1 else f"{found['restarts']} times"
        return f"its new instance ended {times} by itself after it had been healthy"
    if found["status"] != "running":
        return f"its new instance is {found['status']}"
    return "" if found["health"] == "healthy" else "its new instance is not healthy any more"
