"""What governs writes and runs: change tickets, waivers, schedules."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column, validates

from drcloud.cmdb.base import Base, Declared, Document, JsonDocument, Natural
from drcloud.cmdb.declared.columns import moment, one_of

CHANGE_STATES = ("draft", "approved", "open", "closed", "cancelled")


class ChangeTicket(Declared, Base):
    """A change: when it may be done (both ends of the window, or none) and on what (``scope``).

    ``state`` moves as ``drcloud.cmdb.changes.MOVES`` allows; the database refuses any other move.
    """

    __tablename__ = "change"
    natural = Natural(("ticket",))
    __table_args__ = (
        CheckConstraint(one_of("state", CHANGE_STATES), name="state"),
        CheckConstraint(
            "(window_start IS NULL) = (window_end IS NULL) "
            "AND (window_start IS NULL OR window_start < window_end)",
            name="window",
        ),
    )
    ticket: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(255), default="")
    state: Mapped[str] = mapped_column(String(16), default="draft")
    window_start: Mapped[datetime | None]
    window_end: Mapped[datetime | None]
    scope: Mapped[Document] = mapped_column(JsonDocument, default=dict)

    @validates("window_start", "window_end")
    def _moment(self, _field: str, value: datetime | str | None) -> datetime | None:
        return None if value is None else moment(value)


class Waiver(Declared, Base):
    """An accepted exception: a control, the objects it is waived for (a pattern), and until when."""

    __tablename__ = "waiver"
    natural = Natural(("name",))
    __table_args__ = (CheckConstraint("owner <> '' AND reason <> '' AND ticket <> ''", name="reasoned"),)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    control: Mapped[str] = mapped_column(String(64), index=True)
    object: Mapped[str] = mapped_column(String(255), default="*")
    owner: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    ticket: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]

    @validates("expires_at")
    def _moment(self, _field: str, value: datetime | str) -> datetime:
        return moment(value)


class Schedule(Declared, Base):
    """A playbook that runs by the calendar (systemd's ``OnCalendar`` form)."""

    __tablename__ = "schedule"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    playbook: Mapped[str] = mapped_column(String(255))
    calendar: Mapped[str] = mapped_column(String(128))
    inventory: Mapped[str | None] = mapped_column(String(255))
