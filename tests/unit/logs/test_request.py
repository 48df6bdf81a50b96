"""What is asked of the central log, and what is refused before anybody is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from drcloud.errors import InvalidInputError
from drcloud.logs import health
from drcloud.logs.request import Request, moment

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("90s", "2026-11-23T11:58:30+00:00"),
        ("10m", "2026-11-23T11:50:00+00:00"),
        ("2h", "2026-11-23T10:00:00+00:00"),
        ("3d", "2026-11-20T12:00:00+00:00"),
        ("2026-11-22T23:00", "2026-11-22T23:00:00+00:00"),
        ("2026-11-22T23:00:00+08:00", "2026-11-22T15:00:00+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00+00:00"),
    ],
)
def test_a_moment_is_before_now_or_a_time(text: str, iso: str) -> None:
    assert datetime.fromtimestamp(moment(text, NOW), UTC).isoformat() == iso


@pytest.mark.parametrize("text", ["", "yesterday", "-5m", "5", "5w", "10m; ls", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"is no moment: give 90s, 10m, 2h, 3d"):
        moment(text, NOW)


def test_a_request_is_one_line_whatever_is_in_it() -> None:
    text = Request("a\nb", "p\u2028'$(x)", ("dk-01",)).text()
    assert text.count("\n") == 1
    assert text.endswith("\n")


@pytest.mark.parametrize(
    ("message", "dropped"),
    [
        ('in all {"dropped": 3, "suppressed": 0}', 3),
        ('lost: 3 by a full queue, 0 by the journal\'s rate limit; in all {"dropped": 9}', 9),
        ("something else", None),
        ("in all [1]", None),
        ("in all {", None),
    ],
)
def test_a_report_is_read_by_its_numbers(message: str, dropped: int | None) -> None:
    assert health.numbers(message).get("dropped") == dropped
