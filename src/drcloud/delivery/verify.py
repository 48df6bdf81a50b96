"""Whether a host that was switched still runs what it was switched to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drcloud.delivery.ledger import StepRow

Instances = Sequence[Mapping[str, Any]]
# A step that said "done", or that a load balancer's word made "failed": the host itself has the last word.
DUE = ("done", "failed")


def is_due(step: StepRow) -> bool:
    """Tell whether the host of a step is to be looked at."""
    return step.state == "done" or (step.state == "failed" and bool(step.detail.get("fell")))


@dataclass(frozen=True, slots=True)
class Failure:
    """What is wrong with a host that was switched: the state of its step, whose failure it is, and what."""

    state: Literal["failed", "unreachable"]
    kind: str
    reason: str


def judge(step: StepRow, whose: str, trouble: str) -> Failure | None:
    """Return the failure of a host that was looked at, or None where all is well.

    ``whose`` is app, host or unreachable. A host that is well and does not serve all the same is the load
    balancers' affair: no other image would mend it.
    """
    if whose == "unreachable":
        return Failure("unreachable", "host", trouble)
    if trouble:
        return Failure("failed", whose, trouble)
    if step.detail.get("fell"):
        return Failure("failed", "balancer", str(step.detail.get("reason", "")))
    return None


def trouble(instances: Instances, app: str, env: str, revision: str) -> str:
    """Return what is wrong with the instance of a revision on a host, or an empty text."""
    found = _of(instances, app, env, revision)
    if found is None:
        return "its new instance is gone"
    if found["status"] == "exited":
        return "its new instance ended"
    if found.get("restarts"):
        times = "once" if found["restarts"] == 1 else f"{found['restarts']} times"
        return f"its new instance ended {times} by itself after it had been healthy"
    if found["status"] != "running":
        return f"its new instance is {found['status']}"
    return "" if found["health"] == "healthy" else "its new instance is not healthy any more"


def last_words(instances: Instances, app: str, env: str, revision: str) -> tuple[str, list[str]]:
    """Return what the health check of the instance said, or how it ended, and the last lines it wrote."""
    found = _of(instances, app, env, revision) or {}
    return str(found.get("said") or ""), [str(line) for line in found.get("logs") or ()]


def _of(instances: Instances, app: str, env: str, revision: str) -> Mapping[str, Any] | None:
    """Return the instance of a revision, one that has not ended rather than one that has."""
    wanted = app, env, revision
    mine = [found for found in instances if (found["app"], found["env"], found["revision"]) == wanted]
    return min(mine, key=lambda found: found["status"] == "exited", default=None)
