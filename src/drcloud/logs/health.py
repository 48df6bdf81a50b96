"""What hosts report of their own forwarding: the last report of each, and who is silent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from drcloud.cmdb.snapshot import Snapshot

COLUMNS = ("host", "at", "dropped", "suppressed", "queued", "queued_bytes")
# A host reports once an hour, and at once when something was lost.
RECENT = timedelta(hours=2)
# Only hosts in service are expected to report.
EXPECTED = ("active", "maintenance")


def first(now: datetime) -> float:
    """Return since when a report counts, in seconds since 1970."""
    return (now - RECENT).timestamp()


def reports(rows: Snapshot, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each host in service; ``at`` is None for a host that did not report."""
    newest = {str(record.get("host")): record for record in records}
    expected = [row.name for row in rows.hosts if row.state in EXPECTED]
    return [_row(name, newest.get(name)) for name in sorted({*expected, *newest})]


def _row(name: str, record: dict[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row["host"] = name
    if record is not None:
        row["at"] = record.get("time")
        row |= {
            key: value for key, value in numbers(str(record.get("message", ""))).items() if key in COLUMNS
        }
    return row


def numbers(message: str) -> dict[str, Any]:
    """Return the counts at the end of a report; none where it has none."""
    _, found, rest = message.partition("in all ")
    try:
        counts = json.loads(rest) if found else {}
    except ValueError:
        counts = {}
    return counts if isinstance(counts, dict) else {}
