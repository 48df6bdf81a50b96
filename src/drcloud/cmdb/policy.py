"""Writes that need a change ticket: those to what belongs to an environment that requires one.

What counts is what stood in the CMDB before the unit of work began: a unit neither frees an
environment, nor opens the change, for its own writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import scope as scopes
from drcloud.cmdb.base import Document, now
from drcloud.cmdb.declared import ChangeTicket, Environment, moment_text
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.scope import Touch
from drcloud.cmdb.usage import Usage, read
from drcloud.errors import DeniedError

# What was approved with a change, and must not become something else afterwards.
APPROVED = ("scope", "window_start", "window_end")

# What to do about a change that is not open.
STATES = {
    "draft": "have it approved and open it",
    "approved": "open it",
    "closed": "name one that is open",
    "cancelled": "name one that is open",
}


@dataclass(frozen=True, slots=True)
class Row:
    """What a unit writes: an object, and its fields before and after."""

    kind: str
    key: str
    before: Document | None
    after: Document | None

    @classmethod
    def of(cls, entry: Document) -> Row:
        """Return what an entry of the log tells."""
        return cls(entry["kind"], entry["key"], entry["before"], entry["after"])

    def sides(self) -> Iterator[Document]:
        """Yield the object's fields, before and after, as far as there are any."""
        yield from (side for side in (self.before, self.after) if side is not None)


@dataclass(frozen=True, slots=True)
class Guard:
    """What a unit of work has to respect: guarded environments, and why its ticket does not open them.

    ``objection`` is None for an open change in its window; then ``scope`` is what it covers.
    """

    environments: frozenset[str]
    ticket: str | None = None
    objection: str | None = None
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # What a unit has taken out of use counts as used for the rest of it: host, app, environment.
    left: set[tuple[str, str, str]] = field(default_factory=set)


def guard(session: Session, ticket: str | None) -> Guard:
    """Return what a unit of work that begins now has to respect."""
    required = select(Environment.name).where(Environment.change_required)
    environments = frozenset(session.scalars(required))
    if not environments:
        return Guard(environments)
    if ticket is None:
        return Guard(environments, objection="name it with --ticket or DRCLOUD_TICKET")
    change = session.scalars(select(ChangeTicket).where(ChangeTicket.ticket == ticket)).one_or_none()
    if change is None:
        return Guard(environments, ticket, _unknown(session, ticket))
    return Guard(environments, ticket, _closed(change, now()), change.scope)


def _unknown(session: Session, ticket: str) -> str:
    hint = meant(ticket, session.scalars(select(ChangeTicket.ticket)).all())
    return f"there is no change {ticket} in the CMDB: {hint or 'declare it, have it approved and open it'}"


def _closed(change: ChangeTicket, at: datetime) -> str | None:
    """Return why nothing may be written under a change; None when it may."""
    start, end = change.window_start, change.window_end
    window = f"window {moment_text(start)} to {moment_text(end)}" if start and end else "no window"
    if change.state != "open":
        return f"change {change.ticket} is {change.state} ({window}): {STATES[change.state]}"
    if start is not None and at < start:
        return f"change {change.ticket} is open, but has not begun ({window}): wait until then"
    if end is not None and at >= end:
        return f"change {change.ticket} is open, but its time is over ({window}): write a new change"
    return None


def enforce(session: Session, watch: Guard, rows: Sequence[Row]) -> None:
    """Refuse rows of guarded environments that no open change covers (``DeniedError``)."""
    for row in rows:
        if row.kind == "change" and row.after is not None:
            scopes.check(row.key, row.after["scope"])
    if not watch.environments:
        return
    usage = read(session, [(row.kind, side) for row in rows for side in row.sides()])
    watch.left.update(left for row in rows for left in _members(row.kind, row.before))
    for host, app, environment in watch.left:
        usage.hosts[host].add((app, environment))
    for row in rows:
        _refuse_amended(row)
        for touch in touches(row.kind, row.before, row.after, usage):
            if touch.environment in watch.environments:
                _require(watch, row, touch)


def _members(kind: str, fields: Document | None) -> Iterator[tuple[str, str, str]]:
    if fields is not None and kind in ("placement_host", "placement_lb"):
        app, environment = fields["placement"].split("@")
        yield fields["host"], app, environment


def _refuse_amended(row: Row) -> None:
    """Refuse to make another change of one that was approved."""
    if row.kind != "change" or row.before is None or row.before["state"] not in ("approved", "open"):
        return
    if row.after is None or any(row.before[name] != row.after[name] for name in APPROVED):
        way = "take it back to draft first" if row.before["state"] == "approved" else "write a new change"
        raise DeniedError(
            f"change {row.key} is {row.before['state']}, its scope and window were approved with it: {way}"
        )


def _require(watch: Guard, row: Row, touch: Touch) -> None:
    why = watch.objection
    if why is None and not scopes.covers(watch.scope, row.kind, touch):
        why = f"change {watch.ticket} does not cover it, its scope is {scopes.words(watch.scope)}"
    if why is not None:
        itself = row.kind == "environment"
        what = "" if itself else f"{row.kind} {row.key} belongs to "
        where = " is one where" if itself else ", where"
        raise DeniedError(f"{what}environment {touch.environment}{where} a write needs an open change: {why}")


def touches(kind: str, before: Document | None, after: Document | None, usage: Usage) -> frozenset[Touch]:
    """Return an object's part in every environment that it belongs to, before or after a write.

    Places, networks, models, releases, specifications that no app uses yet, schedules, waivers,
    tags and changes belong to none.
    """
    if kind == "app":
        return frozenset(_app(before, after, usage))
    sides = [side for side in (before, after) if side is not None]
    return frozenset(touch for side in sides for touch in _RULES.get(kind, _of_host)(side, usage))


def _app(before: Document | None, after: Document | None, usage: Usage) -> Iterator[Touch]:
    """Yield where an app runs with other settings; what overrides qa's is no matter of prod."""
    if before is None or after is None:
        return  # it has no placement yet, or none any more
    name = after["name"]
    old, new = (usage.specs.get((name, side["spec_version"])) for side in (before, after))
    same = {**before, "spec_version": 0} == {**after, "spec_version": 0}
    for _, environment in usage.apps[name]:
        specs = [spec and spec.for_environment(environment) for spec in (old, new)]
        if not same or specs[0] != specs[1]:
            yield Touch(environment, frozenset({name}))


def _of_host(fields: Document, usage: Usage) -> Iterator[Touch]:
    """Yield where the host is used that a part belongs to: an address, a disk, a key, an interface."""
    host: str = fields.get("host") or ""
    places = usage.hosts[host]
    for environment in {environment for _, environment in places}:
        apps = frozenset(app for app, other in places if other == environment)
        yield Touch(environment, apps, frozenset({host}))


def _host(fields: Document, usage: Usage) -> Iterator[Touch]:
    yield from _of_host({"host": fields["name"]}, usage)


def _environment(fields: Document, _usage: Usage) -> Iterator[Touch]:
    yield Touch(fields["name"])


def _placement(fields: Document, _usage: Usage) -> Iterator[Touch]:
    yield Touch(fields["environment"], frozenset({fields["app"]}))


def _member(fields: Document, _usage: Usage) -> Iterator[Touch]:
    app, environment = fields["placement"].split("@")
    yield Touch(environment, frozenset({app}), frozenset({fields["host"]}))


def _channel(fields: Document, _usage: Usage) -> Iterator[Touch]:
    # A channel belongs to the environment of its name: `prod`, not `latest` nor `rt67`.
    yield Touch(fields["tag"], frozenset({fields["app"]}))


def _allocation(fields: Document, _usage: Usage) -> Iterator[Touch]:
    owner = fields["owner"].split("/")
    if fields["pool"].startswith("ports:") and len(owner) == 3:
        yield Touch(owner[1], frozenset({owner[0]}), frozenset({fields["pool"].removeprefix("ports:")}))


def _lb_pool(fields: Document, _usage: Usage) -> Iterator[Touch]:
    if fields["placement"] is not None:
        app, environment = fields["placement"].split("@")
        yield Touch(environment, frozenset({app}))


def _vip(fields: Document, usage: Usage) -> Iterator[Touch]:
    for app, environment in usage.vips[fields["name"]]:
        yield Touch(environment, frozenset({app}))


def _vip_lb(fields: Document, usage: Usage) -> Iterator[Touch]:
    yield from _vip({"name": fields["vip"]}, usage)


def _certificate(fields: Document, usage: Usage) -> Iterator[Touch]:
    for app, environment in usage.certificates[fields["name"]]:
        yield Touch(environment, frozenset({app}))


_RULES: dict[str, Callable[[Document, Usage], Iterator[Touch]]] = {
    "allocation": _allocation,
    "app_config": _placement,
    "certificate": _certificate,
    "channel": _channel,
    "environment": _environment,
    "host": _host,
    "lb_pool": _lb_pool,
    "placement": _placement,
    "placement_host": _member,
    "placement_lb": _member,
    "vip": _vip,
    "vip_lb": _vip_lb,
}
