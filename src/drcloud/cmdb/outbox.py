"""The outbox's write side: an event stands in the transaction of the change it tells of.

Events are numbered when their transaction commits, and who commits events takes turns. So the
order of ``id`` is the order of commits, of one subject as of all: a reader that follows it never
skips an event and never sees the later of two first.
"""

from __future__ import annotations

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from drcloud.cmdb.base import Document
from drcloud.cmdb.changelog import RecordedSession
from drcloud.cmdb.operational import Outbox

EVENTS = "events"
# Any number, the same for everybody. It is the last lock of a transaction, so nobody waits in a circle.
TURN = 4_221_900_420


def publish(session: Session, subject: str, type: str, data: Document) -> None:  # noqa: A002  (the event's own word)
    """Add an event about a subject, as ``app:demo@prod``; it is delivered if the transaction commits."""
    session.info.setdefault(EVENTS, []).append(Outbox(subject=subject, type=type, data=data))


@event.listens_for(RecordedSession, "before_commit")
def _write(session: Session) -> None:
    """Number and write the events; on SQLite writers take turns anyway."""
    if session.in_nested_transaction():
        return
    if events := session.info.pop(EVENTS, None):
        if session.connection().dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": TURN})
        session.add_all(events)
