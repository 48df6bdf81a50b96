"""What to read of the central log, checked against the CMDB before anybody is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.errors import InvalidInputError

# Where the forwarder files what is no app's: the host's own log, and its counts of what was lost.
HOST, HEALTH, NO_ENV = "_host", "_health", "_"
_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Request:
    """What the program on the log server is asked; ``since`` is seconds since 1970, None for any time."""

    app: str
    env: str
    hosts: tuple[str, ...] = ()
    since: float | None = None
    lines: int | None = None
    follow: bool = False

    def text(self) -> str:
        """Return the request as the program reads it."""
        return json.dumps(asdict(self)) + "\n"


def checked(session: Session, app: str | None, env: str | None, hosts: Sequence[str]) -> tuple[str, str]:
    """Return what the central log files it under; unknown names are refused. Without app: the hosts' own."""
    for name in hosts:
        lookup.host(session, name)
    if app is None:
        if not hosts:
            raise InvalidInputError(
                "name an app with --env, as in `drcloud logs demo --env prod`, or a host with --host"
            )
        if env is not None:
            raise InvalidInputError("--env goes with an app; the log of a host itself has no environment")
        return HOST, NO_ENV
    if env is None:
        raise InvalidInputError(f"say of which environment: `drcloud logs {app} --env prod`")
    return lookup.app(session, app).name, lookup.environment(session, env).name


def moment(text: str, now: datetime) -> float:
    """Return a moment in seconds since 1970: ``10m`` (s, m, h, d) before now, or an ISO 8601 time (UTC)."""
    if ago := _AGO.fullmatch(text.strip()):
        return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).timestamp()
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInputError(
            f"--since {text!r} is no moment: give 90s, 10m, 2h, 3d, or a time as 2026-03-01T14:00"
        ) from error
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
