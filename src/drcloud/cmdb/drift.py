"""Drift: what was observed on hosts against what the CMDB and the last deployment say should run there.

The one function that status, ``drcloud drift``, the inventory's drift groups and compliance ask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.changelog import OBSERVED
from drcloud.cmdb.declared import App, Environment, Host
from drcloud.cmdb.observations import BY_HAND
from drcloud.cmdb.operational import Deployment, HostFact, Instance, Observation, Sequence
from drcloud.cmdb.snapshot import PlacementRow

State = Literal["ok", "differs", "unhealthy", "stopped", "missing", "not seen", "not deployed"]
# ``image``: another image; ``spec``: the image, but another revision of it (variables, limits, mounts,
# configuration, secrets), or changed by hand; ``unplaced``: ours, and no placement puts it there;
# ``unknown``: no roll made it, whatever its labels say; ``not_seen``: the host was never looked at;
# ``stale``: all is well, as far as an old look tells.
Kind = Literal["image", "spec", "stopped", "unhealthy", "missing", "unplaced", "unknown", "not_seen", "stale"]
KINDS: dict[State, Kind] = {
    "unhealthy": "unhealthy",
    "stopped": "stopped",
    "missing": "missing",
    "not seen": "not_seen",
}
# What a host was not asked for, or not lately: that is no knowledge, good or bad.
UNSEEN: tuple[Kind, ...] = ("not_seen", "stale")
# In the place of a kind of settings: the host has no record of this instance, so no roll made it.
NO_RECORD = "record"
RETIRED = "retired"
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
    deployment: str = ""
    differs: tuple[str, ...] = ()


COLUMNS = tuple(name for name in Seen.__slots__ if name != "differs")


@dataclass(frozen=True, slots=True)
class Drift:
    """One app on one host that is not as it should be, or of which nobody can tell.

    ``observed_at`` is when the host was last looked at; None where it never was. ``container`` is the name
    of one that is not ours, and of no app.
    """

    host: str
    app: str
    env: str
    kind: Kind
    desired: Desired | None
    seen: Seen | None
    observed_at: datetime | None
    container: str = ""

    @property
    def is_changed_by_hand(self) -> bool:
        """Tell whether it runs what the last deployment brought, and somebody changed it on its host."""
        if self.kind not in ("spec", "unknown") or self.desired is None or self.seen is None:
            return False
        return not _differs(self.desired, self.seen)


@dataclass(frozen=True, slots=True)
class Observed:
    """What should run and what was seen, of all hosts; ``strangers`` are containers that are not ours."""

    desired: Mapping[Where, Desired]
    instances: Mapping[tuple[str, str, str], list[Seen]]
    looks: Mapping[str, datetime]
    strangers: Mapping[str, Collection[str]] = field(default_factory=dict)


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
    if desired is not None and _differs(desired, seen):
        return "differs"
    if seen.health != "healthy":
        return "unhealthy"
    return "differs" if seen.differs else "ok"


def _differs(desired: Desired, seen: Seen) -> bool:
    """Tell whether something else runs; a container made by hand may bear the right revision."""
    return seen.revision != desired.revision or seen.digest != desired.digest


def find(
    placements: Collection[PlacementRow],
    observed: Observed,
    *,
    now: datetime | None = None,
    max_age: timedelta | None = None,
) -> list[Drift]:
    """Return all drift, in the order of the placements and their hosts. Pure.

    What was never deployed cannot drift. With ``now`` and ``max_age``, a host on which all was well at a
    look longer ago than that counts as ``stale``.
    """
    found, placed = [], set()
    for placement in placements:
        for host in placement.hosts:
            place = host, placement.app, placement.env
            placed.add(place)
            desired, seen, look = _known(observed, place)
            kind = _kind(desired, seen, look)
            if kind is None and desired and look and now and max_age and now - look > max_age:
                kind = "stale"
            if kind is not None:
                found.append(Drift(*place, kind, desired, seen, look))
    for place in sorted(_running(observed) - placed):
        found.append(Drift(*place, "unplaced", None, *_known(observed, place)[1:]))
    return found + _strangers(placements, observed)


def _strangers(placements: Collection[PlacementRow], observed: Observed) -> list[Drift]:
    """Return the containers that nobody knows; what an app took over is known before it is rolled, too."""
    taken = {pair for placement in placements for pair in placement.takes_over.items()}
    return [
        Drift(host, "", "", "unknown", None, None, observed.looks.get(host), name)
        for host, names in sorted(observed.strangers.items())
        for name in names
        if (host, name) not in taken
    ]


def _known(
    observed: Observed, place: tuple[str, str, str]
) -> tuple[Desired | None, Seen | None, datetime | None]:
    host, app, env = place
    seen = pick(observed.instances.get(place, ()))
    return observed.desired.get((app, env)), seen, observed.looks.get(host)


def _kind(desired: Desired | None, seen: Seen | None, look: datetime | None) -> Kind | None:
    state = verdict(desired, seen, look)
    if state != "differs" or seen is None:
        return KINDS.get(state)
    if desired is not None and _differs(desired, seen):
        return "image" if seen.digest != desired.digest else "spec"
    return "unknown" if NO_RECORD in seen.differs else "spec"


def hosts(placements: Collection[PlacementRow], observed: Observed) -> dict[str, set[str]]:
    """Return the hosts that drifted, by kind of drift; whatever the time is. Pure."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in find(placements, observed):
        found[one.kind].add(one.host)
    return dict(found)


def _running(observed: Observed) -> set[tuple[str, str, str]]:
    return {
        place
        for place, instances in observed.instances.items()
        if any(seen.status == "running" for seen in instances)
    }


def read(session: Session, host: str | None = None) -> Observed:
    """Read what should run and what was seen, on all hosts or on one; one query for each."""
    by_hand = _by_hand(session, host)
    strangers = {name: found["strangers"] for name, found in by_hand.items() if found.get("strangers")}
    instances = _instances(session, host, by_hand)
    return Observed(dict(_desired(session)), instances, _looks(session, host), strangers)


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


def _by_hand(session: Session, only: str | None) -> dict[str, dict[str, Any]]:
    """Return what is somebody else's work, by host; a host that is retired is nobody's affair any more."""
    query = select(Host.name, HostFact.facts[BY_HAND]).join(HostFact.host).where(Host.state != RETIRED)
    if only is not None:
        query = query.where(Host.name == only)
    return {name: found for name, found in session.execute(query) if found}


def _instances(
    session: Session, only: str | None, by_hand: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str, str], list[Seen]]:
    columns = [getattr(Instance, name) for name in COLUMNS]
    query = select(Host.name, Instance.app, Instance.env, Instance.name, *columns).join(Instance.host)
    if only is not None:
        query = query.where(Host.name == only)
    found: dict[tuple[str, str, str], list[Seen]] = defaultdict(list)
    for host, app, env, name, *values in session.execute(query.order_by(Instance.name)):
        differs = by_hand.get(host, {}).get("differs", {}).get(name, ())
        found[host, app, env].append(Seen(**dict(zip(COLUMNS, values, strict=True)), differs=tuple(differs)))
    return dict(found)


def _looks(session: Session, only: str | None) -> dict[str, datetime]:
    query = select(Host.name, Observation.observed_at).join(Observation.host)
    if only is not None:
        query = query.where(Host.name == only)
    return {row[0]: row[1] for row in session.execute(query)}
