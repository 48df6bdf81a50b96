"""Drift as a report: what ``drcloud.cmdb.drift`` finds, with the settings that differ and what it means.

Reads the CMDB only: what was observed, and when. No host is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import drift, lookup, snapshot
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import AppSpecVersion
from drcloud.cmdb.drift import Drift, Kind
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.snapshot import PlacementRow
from drcloud.cmdb.store import Store
from drcloud.delivery.revision import running
from drcloud.errors import NothingMatchedError
from drcloud.exitcodes import ExitCode, most_serious

MAX_AGE = timedelta(days=1)
MEANING: dict[Kind, str] = {
    "image": "another image runs",
    "spec": "the right image runs with other settings",
    "stopped": "it does not run any more",
    "unhealthy": "it runs and does not work",
    "missing": "it is not there",
    "unplaced": "it runs, and no placement puts it there",
    "unknown": "no roll made it",
    "not_seen": "nobody has looked at this host yet",
    "stale": "nobody has looked lately",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One app on one host that drifted; ``settings`` are those that differ, as in ``env.LEVEL``."""

    drift: Drift
    settings: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """What that is, in words."""
        named = f": {', '.join(self.settings)}" if self.settings else ""
        hand = [kind for kind in self.by_hand if kind != drift.NO_RECORD]
        changed = f"; changed by hand: {', '.join(hand)}" if hand else ""
        unmade = self.drift.kind != "unknown" and drift.NO_RECORD in self.by_hand
        return MEANING[self.drift.kind] + named + changed + (f"; {MEANING['unknown']}" if unmade else "")

    @property
    def by_hand(self) -> tuple[str, ...]:
        """The kinds of settings in which it is not what a roll made."""
        return self.drift.seen.differs if self.drift.seen else ()

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        document = asdict(self.drift, dict_factory=_plain)
        return {**document, "settings": list(self.settings), "meaning": self.meaning}


@dataclass(frozen=True, slots=True)
class Report:
    """All drift. ``compared`` counts apps on hosts; ``oldest`` and ``newest`` are the looks they were at."""

    lines: tuple[Line, ...]
    compared: int
    oldest: datetime | None
    newest: datetime | None

    @property
    def exit_code(self) -> ExitCode:
        """Return the code of the contract: what nobody knows is more serious than what is known to differ."""
        return most_serious(
            ExitCode.INCOMPLETE if line.drift.kind in drift.UNSEEN else ExitCode.DRIFT for line in self.lines
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``."""
        return {
            "drift": [line.as_document() for line in self.lines],
            "compared": self.compared,
            "oldest": self.oldest.isoformat() if self.oldest else None,
            "newest": self.newest.isoformat() if self.newest else None,
        }


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in items}


def read(
    store: Store,
    app: str | None = None,
    env: str | None = None,
    *,
    max_age: timedelta = MAX_AGE,
    at: datetime | None = None,
) -> Report:
    """Compare what was observed with what should run; ``at`` (default: now) is what ages are counted to.

    NotFoundError for an unknown name; NothingMatchedError where nothing is placed and nothing runs.
    """
    with store.read() as session:
        if app is not None:
            lookup.app(session, app)
        if env is not None:
            lookup.environment(session, env)
        placements = snapshot.load(session, parts=frozenset()).placements
        observed = drift.read(session)
        found = drift.find(placements, observed, now=at or now(), max_age=max_age)
        chosen = [one for one in found if app in (None, one.app) and env in (None, one.env)]
        meant = [row for row in placements if app in (None, row.app) and env in (None, row.env)]
        if not meant and not chosen:
            what = " ".join(filter(None, (app and f"of {app}", env and f"in {env}")))
            raise NothingMatchedError(f"no placement {what or 'in the CMDB'}: nothing is meant to run")
        lines = tuple(_lines(session, chosen))
    return _report(lines, meant, observed.looks)


def _report(
    lines: tuple[Line, ...], placements: Iterable[PlacementRow], looks: Mapping[str, datetime]
) -> Report:
    places = {(host, row.app, row.env) for row in placements for host in row.hosts}
    moments = [looks[host] for host, *_ in places if host in looks]
    return Report(lines, len(places), min(moments, default=None), max(moments, default=None))


def _lines(session: Session, found: Iterable[Drift]) -> Iterable[Line]:
    """Add the settings that differ, where the ledger still knows how the observed instance was made."""
    specs: dict[str, dict[str, Any] | None] = {}

    def spec_of(uid: str) -> dict[str, Any] | None:
        if uid not in specs:
            specs[uid] = _spec(session, uid)
        return specs[uid]

    for one in found:
        if one.kind != "spec" or one.desired is None or one.seen is None:
            yield Line(one)
            continue
        wanted, had = spec_of(one.desired.deployment), spec_of(one.seen.deployment)
        yield Line(one, () if wanted is None or had is None else tuple(differing(wanted, had)))


def _spec(session: Session, uid: str) -> dict[str, Any] | None:
    """Return the settings that a deployment ran with; None where it is not known any more."""
    row = session.scalars(select(Deployment).where(Deployment.uid == uid)).one_or_none()
    if row is None:
        return None
    version = (AppSpecVersion.app_id == row.app_id, AppSpecVersion.number == row.spec_version)
    document = session.scalars(select(AppSpecVersion.document).where(*version)).one_or_none()
    if document is None:
        return None
    return running(AppSpec.model_validate(document).for_environment(row.environment.name))


def differing(wanted: Mapping[str, Any], had: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the names of the settings that differ, sorted, parts with a dot; never their values. Pure."""
    names = []
    for name in sorted({*wanted, *had}):
        one, other = wanted.get(name), had.get(name)
        if one == other:
            continue
        if isinstance(one or {}, Mapping) and isinstance(other or {}, Mapping):
            names += differing(one or {}, other or {}, f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names
