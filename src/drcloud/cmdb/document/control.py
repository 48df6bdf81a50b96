"""Entries of what governs writes and runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from drcloud.cmdb import calendar
from drcloud.cmdb.declared import moment
from drcloud.cmdb.document.values import Attrs, ChangeState, Entry, Label, Short, Text, Ticket, Time, Word

Patterns = Annotated[tuple[Text, ...], Field(min_length=1)]
Scope = dict[Literal["environment", "app", "host", "kind"], Patterns]


class ChangeEntry(Entry):
    """A change ticket. ``state`` is where it begins; a file never takes one back to ``draft``.

    ``scope`` is what it covers (``drcloud.cmdb.scope``), as ``{environment: [prod], host: ["dk-*"]}``.
    """

    ticket: Ticket
    title: Annotated[str, Field(max_length=255)] = ""
    state: ChangeState = "draft"
    window_start: Time | None = None
    window_end: Time | None = None
    scope: Scope = Field(default_factory=dict)
    attrs: Attrs

    @field_validator("window_end")
    @classmethod
    def _after(cls, end: str | None, info: ValidationInfo) -> str | None:
        start: Any = info.data.get("window_start")
        if start and end and moment(end) <= moment(start):
            raise ValueError(f"the window ends at {end}, before it begins at {start}")
        return end


class WaiverEntry(Entry):
    """An accepted exception: it names who answers for it, why, under which ticket, and until when."""

    name: Label
    control: Short
    object: Text = "*"
    owner: Short
    reason: Text
    ticket: Ticket
    expires_at: Time
    attrs: Attrs


class ScheduleEntry(Entry):
    """A playbook that runs by the calendar."""

    name: Word
    playbook: Text
    calendar: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(calendar.checked)]
    inventory: Text | None = None
    attrs: Attrs
