"""The outbox's write side: an event stands in the transaction of the change it tells of."""

from __future__ import annotations

from sqlalchemy.orm import Session

from drcloud.cmdb.base import Document
from drcloud.cmdb.operational import Outbox


def publish(session: Session, subject: str, type: str, data: Document) -> None:  # noqa: A002  (the event's own word)
    """Add an event about a subject, as ``app:demo@prod``; it is delivered if the transaction commits."""
    session.add(Outbox(subject=subject, type=type, data=data))
