"""When a schedule runs, in the form of systemd's ``OnCalendar`` (``man systemd.time``).

What is surely no such form is refused when it is written, as cron's. Whether the numbers are right, and zones
known, only systemd itself can tell, where the timer is installed.
"""

from __future__ import annotations

import re

_NUMBERS = r"[0-9*/.,]+"
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
_WEEKDAYS = re.compile(rf"{_DAY}(?:(?:\.\.|-|,){_DAY})*,?", re.IGNORECASE)
_DATE = re.compile(rf"(?:{_NUMBERS}-)?{_NUMBERS}[-~]{_NUMBERS}")
_TIME = re.compile(rf"{_NUMBERS}:{_NUMBERS}(?::{_NUMBERS})?")
_ZONE = re.compile(r"[A-Za-z][\w+-]*(?:/[\w+-]+)*")
_SHORT = re.compile(
    r"minutely|hourly|daily|weekly|monthly|quarterly|yearly|annually|(?:bi|semi)-?annually|@[0-9]+",
    re.IGNORECASE,
)
# In this order, each at most once.
_PARTS = (_WEEKDAYS, _DATE, _TIME)


def checked(text: str) -> str:
    """Return a calendar expression; ``ValueError`` for what cannot be one."""
    words = text.split()
    rest = words[1:] if words and _SHORT.fullmatch(words[0]) else _after_parts(words)
    zoned = len(rest) == 1 and _ZONE.fullmatch(rest[0])
    if len(rest) == len(words) or (rest and not zoned):
        raise ValueError(
            f"{text!r} is no calendar of systemd: write it as *-*-* 02:30:00, Mon..Fri 22:00 or daily"
        )
    return text


def _after_parts(words: list[str]) -> list[str]:
    """Return what is left behind weekdays, date and time."""
    rest = list(words)
    for part in _PARTS:
        if rest and part.fullmatch(rest[0]):
            rest.pop(0)
    return rest
