"""Calendars of schedules: whatever systemd takes is taken, what can be none is refused when it is written."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from drcloud.cmdb.calendar import checked
from drcloud.cmdb.store import Store

# From systemd.time(7), and shorter ones.
GOOD = """
Sat,Thu,Mon..Wed,Sat..Sun | Mon,Sun 12-*-* 2,1:23 | Wed *-1 | Wed..Wed,Wed *-1 | Wed, 17:48
Wed..Sat,Tue 12-10-15 1:2:3 | *-*-7 0:0:0 | 10-15 | monday *-12-* 17:00 | Mon,Fri *-*-3,1,2 *:30:45
12,14,13,12:20,10,30 | 12..14:10,20,30 | mon,fri *-1/2-1,3 *:30:45 | 03-05 08:05:40 | 08:05:40 | 05:40
Sat,Sun 12-05 08:05:40 | 2003-03-05 05:40 | 05:40:23.4200004/3.1700005 | 2003-02..04-05 | 2003-03-05 05:40 UTC
hourly | daily | daily UTC | weekly Pacific/Auckland | DAILY | *:2/3 | *-02~01 | Mon *-05~07/1 | *-*~1
quarterly | semi-annually | Mon-Fri 10:00 | @1395716396 | 02:00 Etc/GMT+8 | *-*-* 02:30:00
"""
BAD = (
    "0 2 * * * | every night | night | * | 12 | 2am | 02h30 | Mon Tue 02:00 | today | Mon 02:00 in the night"
)


def words(text: str) -> list[str]:
    return [word.strip() for line in text.strip().splitlines() for word in line.split("|")]


@pytest.mark.parametrize("text", words(GOOD))
def test_what_systemd_takes(text: str) -> None:
    assert checked(text) == text


@pytest.mark.parametrize("text", words(BAD))
def test_what_can_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no calendar of systemd: write it as"):
        checked(text)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="only systemd knows better")
@pytest.mark.parametrize(("texts", "code"), [(GOOD, 0), (BAD, 1)])
def test_systemd_is_of_the_same_opinion(texts: str, code: int) -> None:
    for text in words(texts):
        asked = ["systemd-analyze", "calendar", "--", text]
        assert subprocess.run(asked, capture_output=True, check=False).returncode == code, text


def test_a_write_is_refused(drcloud: Callable[..., tuple[int, str, str]], filled: Store) -> None:
    code, _, err = drcloud("cmdb", "set", "schedule", "nightly", "calendar=0 2 * * *")
    assert code == 2
    assert err.startswith("drcloud: schedule nightly: calendar: '0 2 * * *' is no calendar of systemd: ")
