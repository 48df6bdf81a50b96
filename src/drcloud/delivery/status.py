"""What should run and what was seen: desired and observed, side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from drcloud.cmdb import drift, lookup, snapshot
from drcloud.cmdb.drift import Desired, Observed, Seen, State
from drcloud.cmdb.snapshot import PlacementRow
from drcloud.cmdb.store import Store
from drcloud.errors import NothingMatchedError

BAD: frozenset[State] = frozenset({"differs", "unhealthy", "stopped", "missing", "not seen"})


@dataclass(frozen=True, slots=True)
class StatusRow:
    """An app in an environment on one host."""

    app: str
    env: str
    host: str
    state: State
    desired: Desired | None
    seen: Seen | None
    observed_at: datetime | None

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        return asdict(self, dict_factory=_plain)


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in items}


def read(store: Store, app: str | None = None, env: str | None = None) -> list[StatusRow]:
    """Return one row per placement and host; NothingMatchedError where nothing is placed."""
    with store.read() as session:
        if app is not None:
            lookup.app(session, app)
        if env is not None:
            lookup.environment(session, env)
    placements = [
        row for row in snapshot.read(store).placements if app in (None, row.app) and env in (None, row.env)
    ]
    if not placements:
        what = " ".join(filter(None, (app and f"of {app}", env and f"in {env}")))
        raise NothingMatchedError(f"no placement {what or 'in the CMDB'}: nothing is meant to run")
    with store.read() as session:
        observed = drift.read(session)
    return [_row(placement, host, observed) for placement in placements for host in placement.hosts]


def _row(placement: PlacementRow, host: str, observed: Observed) -> StatusRow:
    key = placement.app, placement.env
    wanted = observed.desired.get(key)
    seen = drift.pick(observed.instances.get((host, *key), ()))
    look = observed.looks.get(host)
    return StatusRow(*key, host, drift.verdict(wanted, seen, look), wanted, seen, look)
