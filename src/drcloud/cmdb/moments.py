"""Moments of the CMDB in a user's words: a change's number, a time, so long ago, around a ticket."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import now
from drcloud.cmdb.declared import moment_text
from drcloud.cmdb.operational import ChangeLog, Sequence
from drcloud.errors import InvalidInputError, NotFoundError, NothingMatchedError

AGO = re.compile(r"(\d{1,9})([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Two machines' clocks are never quite equal: what lies this little ahead is now.
SKEW = timedelta(minutes=1)
FORMS = "a change's number, a time as 2026-03-01T14:00 or 2026-03-01, so long ago as 90m, 2h or 3d, now, "
FORMS += "ticket:NAME (before its first change) or after:NAME (after its last)"


def resolve(session: Session, at: str | int) -> int:
    """Return the number of the last change that a moment includes; 0 is before the first.

    A time is local unless it carries a zone, and a date is its first moment. ``ticket:NAME`` is
    the state before the first change under a ticket, ``after:NAME`` the one after its last.
    ``InvalidInputError`` for what is no moment or lies ahead, ``NotFoundError`` for a ticket
    under which nothing was changed.
    """
    text = str(at).strip()
    if text == "now":
        return _last(session)
    if text.isdecimal() and text.isascii():
        return _number(session, text)
    if text.startswith(("ticket:", "after:")):
        return _ticket(session, *text.split(":", 1))
    moment = time_of(text)
    if moment > now() + SKEW:
        raise InvalidInputError(f"{text!r} lies in the future: the CMDB knows only what was and what is")
    # From the newest backwards: what is passed over has to be undone anyway, so no index is needed.
    included = select(ChangeLog.seq).where(ChangeLog.at <= moment).order_by(ChangeLog.seq.desc()).limit(1)
    return session.scalars(included).one_or_none() or 0


def resolve_known(session: Session, at: str | int) -> int:
    """Return what ``resolve`` does, but refuse a time of which the CMDB cannot tell anything.

    ``NothingMatchedError`` for a time before the first change. Number 0 and ``ticket:NAME`` are asked for
    on purpose and give the empty CMDB.
    """
    found = resolve(session, at)
    if found == 0 and str(at).strip() not in ("0", "now") and not str(at).strip().startswith("ticket:"):
        raise NothingMatchedError(_before(session, at))
    return found


def resolve_both(session: Session, before: str | int, after: str | int) -> tuple[int, int]:
    """Return two moments to compare, of which the CMDB has to know at least one."""
    first = resolve(session, before)
    return first, resolve(session, after) if first else resolve_known(session, after)


def _before(session: Session, at: str | int) -> str:
    first = session.scalars(select(ChangeLog.at).order_by(ChangeLog.seq).limit(1)).one_or_none()
    if first is None:
        return f"the CMDB knows nothing of {at}: nothing was ever written to it"
    return f"the CMDB knows nothing of {at}: its first change was written at {moment_text(first)}"


def time_of(text: str) -> datetime:
    """Return the time that a text means: ISO 8601, local unless it has a zone, or so long ago."""
    try:
        if ago := AGO.fullmatch(text):
            return now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise InvalidInputError(f"{text!r} is no moment: write {FORMS}") from None


def _last(session: Session) -> int:
    """Return the number of the last change that this session sees."""
    return session.scalars(select(Sequence.value).where(Sequence.name == "declared")).one()


def _number(session: Session, text: str) -> int:
    last = _last(session)
    # A number may be longer than what the database can compare.
    if len(text) > len(str(last)) or int(text) > last:
        raise InvalidInputError(f"there is no change {text} yet: the last one is {last}")
    return int(text)


def _ticket(session: Session, side: str, name: str) -> int:
    extreme = func.min(ChangeLog.seq) if side == "ticket" else func.max(ChangeLog.seq)
    found = session.scalars(select(extreme).where(ChangeLog.ticket == name)).one()
    if found is None:
        raise NotFoundError(
            f"nothing was changed under ticket {name!r}: `drcloud cmdb log` shows the tickets of changes"
        )
    return int(found) - 1 if side == "ticket" else int(found)
