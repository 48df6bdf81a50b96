"""Judge the newest recorded evidence by the controls of today: a report without touching a host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Host
from drcloud.compliance import records
from drcloud.compliance.evaluate import evaluate, summarise
from drcloud.compliance.outcome import HostOutcome, Report

NOT_EXPECTED = ("planned", "retired")


def report(session: Session, threshold: str, max_age: timedelta, hosts: Sequence[str] = ()) -> Report:
    """Return what is known of all hosts, or of the named ones.

    A host without evidence, or with evidence older than ``max_age``, is not seen.
    """
    oldest = now() - max_age
    rows = [lookup.host(session, name) for name in hosts] or list(
        session.scalars(select(Host).order_by(Host.name))
    )
    expected = [row.name for row in rows if row.state not in NOT_EXPECTED]
    seen = {one.host: one for one in records.newest(session, expected)}
    ages = records.open_states(session)
    return Report(
        threshold=threshold,
        hosts=tuple(_host(name, seen.get(name), ages.get(name, {}), oldest) for name in expected),
        not_expected={row.name: f"its state is {row.state}" for row in rows if row.state in NOT_EXPECTED},
    )


def _host(
    name: str, seen: records.Seen | None, ages: dict[tuple[str, str], str], oldest: datetime
) -> HostOutcome:
    if seen is None:
        reason = "there is no evidence of it yet, run `drcloud compliance run`"
        return HostOutcome(host=name, seen=False, reason=reason)
    collected = f"its newest evidence is of {seen.collected_at:%Y-%m-%d %H:%M} UTC"
    return HostOutcome(
        host=name,
        seen=seen.collected_at >= oldest,
        reason=collected,
        controls=summarise(evaluate(seen.evidence, seen.role), ages),
    )
