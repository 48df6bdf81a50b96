"""Which of a host's two slots serves, which is free, and what a crash left behind: a pure decision."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SLOTS = ("a", "b")
# Of a container's states (Engine API 1.41), those in which it holds its port or will again by itself.
LIVE = ("running", "restarting", "paused")
# In the place of a revision, of a container that was never deployed. No hash reads like this.
ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance on a host, as the host itself told."""

    name: str
    slot: str
    revision: str
    running: bool
    deployment: str = ""
    created: str = ""

    @classmethod
    def of(cls, instance: Mapping[str, Any]) -> Seen:
        """Read what the module ``app_container`` returned."""
        return cls(
            name=instance["name"],
            slot=instance["slot"],
            revision=instance["revision"],
            running=instance["status"] in LIVE,
            deployment=instance.get("deployment", ""),
            created=instance.get("created", ""),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """``current`` keeps serving until the new one does; ``leftovers`` go first, for their slot is needed."""

    current: Seen | None
    leftovers: tuple[Seen, ...]
    free: str


def decide(instances: Sequence[Seen], serving: Collection[str], stable: str | None) -> Decision:
    """Decide what to keep and what to clear before a new instance is started.

    ``serving`` holds the slots that at least one load balancer sends requests to, ``stable`` is the
    revision of the last deployment that succeeded. Usually one instance runs. Two run when a controller
    died in mid-switch; then the one that serves stays, for stopping it is the mistake that cannot be
    repaired; if both serve, the stable one, else the older one.
    """
    running = [instance for instance in instances if instance.running]
    ranked = sorted(
        running,
        key=lambda instance: (
            instance.slot not in serving,
            instance.revision != stable,
            instance.created,
            instance.slot,
        ),
    )
    current = ranked[0] if ranked else None
    taken = current.slot if current else ""
    return Decision(current, tuple(ranked[1:]), next(slot for slot in SLOTS if slot != taken))
