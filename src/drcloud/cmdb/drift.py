"""Drift: what was observed on hosts against what the CMDB and the last deployment say should run there.

The one function that status, the inventory's drift groups and compliance ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.changelog import OBSERVED
from drcloud.cmdb.declared import App, Environment, Host
from drcloud.cmdb.operational import Deployment, Instance, Observation, Sequence
from drcloud.cmdb.snapshot import PlacementRow

State = Literal["ok", "differs", "unhealthy", "stopped", "missing", "not seen", "not deployed"]
# What does not run as the last deployment left it, or cannot be shown to.
DRIFTED: dict[State, str] = {
    "differs": "differs",
    "stopped": "stopped",
    "missing": "missing",
    "not seen": "not_seen",
}
# What runs on a host that no placement puts it on.
UNPLACED = "unplaced"
# A deployment that failed may have left the fleet between two revisions: it is not what should be.
DESIRED = ("succeeded", "nothing-to-do")

Where = tuple[str, str]


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
class Observed:
    """What should run and what was seen, of all hosts."""

    desired: Mapping[Where, Desired]
    instances: Mapping[tuple[str, str, str], list[Seen]]
    looks: Mapping[str, datetime]


def pick(instances: Iterable[Seen]) -> Seen | None:
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


def hosts(placements: Iterable[PlacementRow], observed: Observed) -> dict[str, set[str]]:
    """Return the hosts that drifted, by kind of drift. Pure."""
    found: dict[str, set[str]] = defaultdict(set)
    placed = set()
    for placement in placements:
        where = placement.app, placement.env
        for host in placement.hosts:
            placed.add((host, *where))
            seen = pick(observed.instances.get((host, *where), ()))
            state = verdict(observed.desired.get(where), seen, observed.looks.get(host))
            if state in DRIFTED:
                found[DRIFTED[state]].add(host)
    for host, *_where in _running(observed) - placed:
        found[UNPLACED].add(host)
    return dict(found)


def _running(observed: Observed) -> set[tuple[str, str, str]]:
    return {
        place
        for place, instances in observed.instances.items()
        if any(seen.status == "running" for seen in instances)
    }


def read(session: Session, host: str | None = None) -> Observed:
    """Read what should run and what was seen, on all hosts or on one; one query for each."""
    return Observed(dict(_desired(session)), _instances(session, host), _looks(session, host))


def token(session: Session) -> str:
    """Return a text that changes whenever what ``read`` returns may compare differently."""
    observed = session.scalars(select(Sequence.value).where(Sequence.name == OBSERVED)).one()
    # The first look at a host without instances moves no counter: it is counted here.
    looks = session.scalars(select(func.count()).select_from(Observation)).one()
    newest = select(func.max(Deployment.id)).where(Deployment.state.in_(DESIRED))
    deployed = session.scalars(newest.group_by(Deployment.app_id, Deployment.environment_id))
    return f"{observed}/{looks}/{','.join(map(str, sorted(deployed)))}"


def _desired(session: Session) -> Iterator[tuple[Where, Desired]]:
    columns = (Deployment.tag, Deployment.digest, Deployment.revision, Deployment.uid)
    rows = session.execute(
        select(App.name, Environment.name, *columns)
        .join(Deployment.app)
        .join(Deployment.environment)
        .where(Deployment.state.in_(DESIRED))
        .order_by(Deployment.id)
    )
    for app, env, *values in rows:
        yield (app, env), Desired(*values)


def _instances(session: Session, only: str | None) -> dict[tuple[str, str, str], list[Seen]]:
    columns = [getattr(Instance, name) for name in Seen.__slots__]
    query = select(Host.name, Instance.app, Instance.env, *columns).join(Instance.host)
    if only is not None:
        query = query.where(Host.name == only)
    found: dict[tuple[str, str, str], list[Seen]] = defaultdict(list)
    for host, app, env, *values in session.execute(query.order_by(Instance.name)):
        found[host, app, env].append(Seen(*values))
    return dict(found)


def _looks(session: Session, only: str | None) -> dict[str, datetime]:
    query = select(Host.name, Observation.observed_at).join(Observation.host)
    if only is not None:
        query = query.where(Host.name == only)
    return {row[0]: row[1] for row in session.execute(query)}
