"""What the declared tables share: checks, and values that are kept in one notation."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime


def one_of(column: str, values: tuple[str, ...]) -> str:
    """Return the SQL of a check that a column holds one of the values."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def fixed_width(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address as text whose order is the order of addresses."""
    return f"{address.version}:{int(address):032x}"


def mac_address(text: str) -> str:
    """Return a MAC address as ``aa:bb:cc:dd:ee:ff``; ``ValueError`` when it is none."""
    digits = re.sub(r"[:.-]", "", text.strip()).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise ValueError(f"{text!r} is no MAC address like 52:54:00:ab:cd:ef")
    return ":".join(digits[start : start + 2] for start in range(0, 12, 2))


def moment(value: datetime | str) -> datetime:
    """Return a point in time in UTC, to the second; ISO 8601 text must carry a zone (``ValueError``)."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no time like 2026-01-31T22:00:00+08:00") from None
    if parsed.tzinfo is None:
        raise ValueError(f"{value!r} says no zone: write a time like 2026-01-31T22:00:00+08:00 or …Z")
    return parsed.astimezone(UTC).replace(microsecond=0)


def moment_text(value: datetime) -> str:
    """Return a point in time as documents and files write it: ``2026-01-31T14:00:00Z``."""
    return moment(value).strftime("%Y-%m-%dT%H:%M:%SZ")
