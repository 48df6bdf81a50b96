"""Observed state: what hosts say of themselves and which containers were seen. The newest wins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.base import Document, now
from drcloud.cmdb.changelog import OBSERVED, advance, lock
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import HostFact, Instance, Observation
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

REQUIRED = frozenset(
    {
        "name",
        "app",
        "env",
        "slot",
        "tag",
        "digest",
        "revision",
        "deployment",
        "status",
        "health",
        "started_at",
    }
)

# What a host had when it was adopted, among its facts.
SURVEY = "survey"
# What on a host is somebody else's work, among its facts: ``differs`` names of each instance the kinds of
# settings in which it is not what a roll made, ``strangers`` are containers that are not ours.
BY_HAND = "by_hand"
# The facts that no host tells of itself.
APART = (SURVEY, BY_HAND)


def record_facts(store: Store, host: str, facts: Document) -> None:
    """Remember what a host said of itself, in place of what it said before; what others saw there stays."""
    with store.operate() as session:
        # Observers take turns, so that two of the same host do not both find nothing.
        lock(session, OBSERVED)
        row = lookup.host(session, host)
        known = session.scalars(select(HostFact).where(HostFact.host_id == row.id)).one_or_none()
        if known is not None:
            facts = {**facts, **{part: known.facts[part] for part in APART if part in known.facts}}
        if known is None:
            session.add(HostFact(host_id=row.id, facts=facts))
        elif known.facts == facts:
            known.observed_at = now()
            return
        else:
            known.facts, known.observed_at = facts, now()
        advance(session, OBSERVED)


def record_survey(store: Store, host: str, survey: Document) -> None:
    """Remember what a host had when it was adopted, beside its facts; the time of the look goes with it."""
    seen = {**survey, "at": now().isoformat()}
    with store.operate() as session:
        lock(session, OBSERVED)
        _put(session, lookup.host(session, host), SURVEY, seen)
        advance(session, OBSERVED)


def _put(session: Session, host: Host, part: str, seen: Document) -> bool:
    """Put a part beside what a host said of itself; return whether it is another one than before."""
    known = session.scalars(select(HostFact).where(HostFact.host_id == host.id)).one_or_none()
    if seen == (known.facts.get(part, {}) if known is not None else {}):
        return False
    if known is None:
        session.add(HostFact(host_id=host.id, facts={part: seen}))
    else:
        known.facts = {**known.facts, part: seen}
    return True


def machines(store: Store, hosts: Iterable[str]) -> dict[str, str]:
    """Return what ``uname -m`` said on hosts when they were last looked at; unknown ones are left out."""
    query = select(Host.name, HostFact.facts).join(HostFact.host).where(Host.name.in_(list(hosts)))
    with store.read() as session:
        found = {name: (facts.get("kernel") or {}).get("machine") for name, facts in session.execute(query)}
    return {name: machine for name, machine in found.items() if machine}


def record_instances(
    store: Store,
    host: str,
    instances: list[dict[str, Any]],
    source: str,
    observed_at: datetime | None = None,
    by_hand: Document | None = None,
) -> None:
    """Remember all containers of ours on a host, in place of those seen before.

    ``observed_at`` (default: now) is when the host was looked at: an older look than the one
    on record changes nothing. ``started_at`` of an instance is a time, ISO 8601 text, or None.
    What ``by_hand`` does not say stays as it was seen last.
    """
    moment = observed_at or now()
    rows = [_parsed(host, instance) for instance in instances]
    with store.operate() as session:
        # Observers take turns, so that two of the same host do not both find nothing.
        lock(session, OBSERVED)
        row = lookup.host(session, host)
        if not _look(session, row, moment, source):
            return
        changed = _replace(session, row, rows, moment, source)
        if by_hand is not None:
            changed = _put(session, row, BY_HAND, _by_hand(session, row, by_hand)) or changed
        if changed:
            advance(session, OBSERVED)


def _by_hand(session: Session, host: Host, seen: Document) -> Document:
    """Return what is somebody else's work on a host, without what is nothing."""
    facts = session.scalars(select(HostFact.facts).where(HostFact.host_id == host.id)).one_or_none()
    known = (facts or {}).get(BY_HAND, {})
    return {name: value for name, value in {**known, **seen}.items() if value}


def _look(session: Session, host: Host, moment: datetime, source: str) -> bool:
    """Record that the host was looked at; False when a newer look is known."""
    known = session.scalars(select(Observation).where(Observation.host_id == host.id)).one_or_none()
    if known is None:
        session.add(Observation(host_id=host.id, observed_at=moment, source=source))
        return True
    if known.observed_at > moment:
        return False
    known.observed_at, known.source = moment, source
    return True


def _replace(session: Session, host: Host, wanted: list[Document], moment: datetime, source: str) -> bool:
    """Replace a host's instances; return whether anything but the time of the look differs."""
    known = {row.name: row for row in session.scalars(select(Instance).where(Instance.host_id == host.id))}
    changed = set(known) != {values["name"] for values in wanted}
    gone = [row.id for name, row in known.items() if name not in {values["name"] for values in wanted}]
    session.execute(delete(Instance).where(Instance.id.in_(gone)))
    for values in wanted:
        row = known.get(values["name"])
        if row is None:
            session.add(Instance(host_id=host.id, observed_at=moment, source=source, **values))
            continue
        for field, value in values.items():
            changed = changed or getattr(row, field) != value
            setattr(row, field, value)
        row.observed_at, row.source = moment, source
    return changed


def _parsed(host: str, instance: dict[str, Any]) -> Document:
    if set(instance) != REQUIRED:
        wrong = ", ".join(sorted(REQUIRED ^ set(instance)))
        raise InvalidInputError(f"an instance observed on host {host} has wrong or missing fields: {wrong}")
    return {**instance, "started_at": _time(host, instance["started_at"])}


def _time(host: str, value: str | datetime | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInputError(
            f"an instance observed on host {host} started at {value!r}, which is no time with a zone"
        )
    return moment
