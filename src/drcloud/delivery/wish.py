"""What somebody asks a roll for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["deploy", "rollback", "resume", "apply", "current"]


@dataclass(frozen=True, slots=True)
class Wish:
    """An app in an environment, and the way it goes.

    ``deploy`` rolls what ``tag`` names now; ``rollback`` goes back to a stable revision, of ``tag`` where
    one is given; ``resume`` continues the last deployment that did not come to its end; ``current`` rolls
    the image that was stable last, with the specification, configuration and secrets of today: to hosts
    that were added, or after a setting changed; ``apply`` rolls what the saved plan in the file ``plan``
    says, as long as it holds. ``only`` narrows it to some hosts of the placement. ``budget`` is how many
    hosts may be lost before the roll stops; ``watch`` is for how many seconds the first host is watched
    before the others follow, where that shall differ from what the app declares.
    """

    app: str
    env: str
    tag: str = ""
    only: tuple[str, ...] = ()
    way: Way = "deploy"
    budget: int = 0
    watch: float | None = None
    plan: str = ""
