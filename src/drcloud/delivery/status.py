"""What should run and what was seen: desired and observed, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select

from drcloud.cmdb import lookup, snapshot
from drcloud.cmdb.operational import Deployment, Instance, Observation
from drcloud.cmdb.snapshot import PlacementRow
from drcloud.cmdb.store import Store
from drcloud.errors import NothingMatchedError

State = Literal["ok", "differs", "unhealthy", "stopped", "missing", "not seen", "not deployed"]
# A deployment that failed may have left the fleet between two revisions: it is not what should be.
DESIRED = ("succeeded", "nothing-to-do")
BAD: frozenset[State] = frozenset({"differs", "unhealthy", "stopped", "missing", "not seen"})


@dataclass(frozen=True, slots=True)
class Desired:
    """What the last deployment that succeeded brought."""

    tag: str
    digest: str
    revision: str
    deployment: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance of an app as last observed."""

    tag: str
    digest: str
    revision: str
    slot: str
    status: str
    health: str
    started_at: datetime | None
    observed_at: datetime


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
    desired, seen, looks = _desired(store), _instances(store), _looks(store)
    return [
        _row(placement, host, desired, seen, looks) for placement in placements for host in placement.hosts
    ]


def _row(
    placement: PlacementRow,
    host: str,
    desired: Mapping[tuple[str, str], Desired],
    instances: Mapping[tuple[str, str, str], list[Seen]],
    looks: Mapping[str, datetime],
) -> StatusRow:
    key = placement.app, placement.env
    wanted = desired.get(key)
    seen = pick(instances.get((host, *key), []))
    look = looks.get(host)
    return StatusRow(*key, host, verdict(wanted, seen, look), wanted, seen, look)


def pick(instances: list[Seen]) -> Seen | None:
    """Return the instance that counts: the running one, else the one that ran last. Pure."""
    ranked = sorted(
        instances,
        key=lambda seen: (seen.status == "running", seen.started_at or seen.observed_at),
        reverse=True,
    )
    return ranked[0] if ranked else None


def verdict(desired: Desired | None, seen: Seen | None, observed_at: datetime | None) -> State:
    """Compare what should run with what was seen. Pure."""
    if seen is None:
        if desired is None:
            return "not deployed"
        return "missing" if observed_at else "not seen"
    if seen.status != "running":
        return "stopped"
    if desired is not None and seen.revision != desired.revision:
        return "differs"
    return "ok" if seen.health == "healthy" else "unhealthy"


def _desired(store: Store) -> dict[tuple[str, str], Desired]:
    with store.read() as session:
        rows = session.scalars(
            select(Deployment).where(Deployment.state.in_(DESIRED)).order_by(Deployment.id)
        )
        return {
            (row.app.name, row.environment.name): Desired(row.tag, row.digest, row.revision, row.uid)
            for row in rows
        }


def _instances(store: Store) -> dict[tuple[str, str, str], list[Seen]]:
    found: dict[tuple[str, str, str], list[Seen]] = {}
    with store.read() as session:
        for row in session.scalars(select(Instance).order_by(Instance.name)):
            seen = Seen(
                row.tag,
                row.digest,
                row.revision,
                row.slot,
                row.status,
                row.health,
                row.started_at,
                row.observed_at,
            )
            found.setdefault((row.host.name, row.app, row.env), []).append(seen)
    return found


def _looks(store: Store) -> dict[str, datetime]:
    with store.read() as session:
        return {row.host.name: row.observed_at for row in session.scalars(select(Observation))}
