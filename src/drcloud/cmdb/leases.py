"""Leases: named locks that expire, each with a fencing token that only grows.

A holder is a run id: what acquires again under the same holder joins, and whoever made the
holder id releases. A holder that has lost one lease has lost them all, so it cannot go on
with half of what it locked.

Several controllers share a PostgreSQL, and their clocks differ: there the server's clock says
when a lease ends. A file has one machine, and that machine's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import UtcDateTime, now
from drcloud.cmdb.changelog import LEASE, advance, lock
from drcloud.cmdb.operational import Lease
from drcloud.cmdb.store import Store
from drcloud.errors import LockedError


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in force."""

    name: str
    holder: str
    exclusive: bool
    token: int
    purpose: str
    acquired_at: datetime
    expires_at: datetime


def acquire(
    store: Store, names: Sequence[tuple[str, bool]], *, holder: str, purpose: str, ttl: timedelta
) -> dict[str, int]:
    """Take all named locks, ``(name, exclusive)``, or none; return their fencing tokens.

    They end ``ttl`` from now unless they are renewed. ``LockedError`` names the first lock in the
    way, who holds it and since when.
    """
    wanted: dict[str, bool] = {}
    for name, exclusive in names:
        wanted[name] = wanted.get(name, False) or exclusive
    with store.operate() as session:
        lock(session, LEASE)
        moment = clock(session)
        _drop_expired(session, wanted, moment)
        return {
            name: _take(
                session, Lease(name=name, exclusive=wanted[name], holder=holder, purpose=purpose), moment, ttl
            )
            for name in sorted(wanted)
        }


def renew(store: Store, holder: str, ttl: timedelta) -> dict[str, int]:
    """Extend all leases of a holder; ``LockedError`` when another has taken one of them over."""
    with store.operate() as session:
        lock(session, LEASE)
        leases = session.scalars(select(Lease).where(Lease.holder == holder)).all()
        if not leases:
            raise LockedError(
                f"the leases of {holder} have expired and were taken over: stop, and look at the run"
            )
        expires_at = clock(session) + ttl
        for lease in leases:
            lease.expires_at = expires_at
        return {lease.name: lease.token for lease in leases}


def release(store: Store, holder: str) -> None:
    """Give all leases of a holder back; nothing happens when there are none."""
    with store.operate() as session:
        lock(session, LEASE)
        session.execute(delete(Lease).where(Lease.holder == holder))


def held(store: Store) -> list[Held]:
    """Return the leases in force, by name."""
    with store.read() as session:
        rows = session.scalars(
            select(Lease).where(Lease.expires_at > clock(session)).order_by(Lease.name, Lease.holder)
        )
        return [
            Held(
                name=row.name,
                holder=row.holder,
                exclusive=row.exclusive,
                token=row.token,
                purpose=row.purpose,
                acquired_at=row.acquired_at,
                expires_at=row.expires_at,
            )
            for row in rows
        ]


def clock(session: Session) -> datetime:
    """Return the time by which leases are counted: the server's where there is one, else this machine's.

    It is asked after the locks were waited for; a transaction's own start would be too early.
    """
    if session.connection().dialect.name != "postgresql":
        return now()
    return session.scalars(select(func.clock_timestamp(type_=UtcDateTime()))).one()


def _drop_expired(session: Session, wanted: dict[str, bool], moment: datetime) -> None:
    """Drop the holders that let one of the wanted locks expire, with everything they held."""
    late = session.scalars(
        select(Lease.holder).where(Lease.name.in_(wanted), Lease.expires_at <= moment)
    ).all()
    session.execute(delete(Lease).where(Lease.holder.in_(late)))


def _take(session: Session, wanted: Lease, moment: datetime, ttl: timedelta) -> int:
    rows = session.scalars(select(Lease).where(Lease.name == wanted.name)).all()
    for other in rows:
        if other.holder != wanted.holder and (other.exclusive or wanted.exclusive):
            raise LockedError(_refusal(other))
    mine = next((row for row in rows if row.holder == wanted.holder), None)
    if mine is None:
        mine = wanted
        mine.token = advance(session, LEASE)
        mine.acquired_at = moment
        session.add(mine)
    mine.exclusive = mine.exclusive or wanted.exclusive
    mine.expires_at = max(mine.expires_at or moment, moment + ttl)
    session.flush()
    return mine.token


def _refusal(other: Lease) -> str:
    purpose = f" for {other.purpose}" if other.purpose else ""
    return (
        f"{other.name} is locked by {other.holder}{purpose} since {other.acquired_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"wait until it ends, or until the lock expires at {other.expires_at:%H:%M:%S} UTC"
    )
