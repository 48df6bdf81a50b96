"""The words of progress."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from drcloud.cli.progress import DIFFS, Progress, shown
from drcloud.runs import events
from drcloud.runs.events import Event
from drcloud.runs.lines import Batches, Tally, clock, counts


def event(kind: str, host: str | None = None, task: str | None = None, text: str = "", **data: Any) -> Event:
    return Event(1, datetime.now(UTC), kind, task=task, host=host, data=data, text=text)


ROLL = [
    event(events.PLAY_START, name="Roll"),
    event(events.TASK_START, task="Skipped everywhere"),
    event(events.SKIPPED, "dk-01"),
    event(events.TASK_START, task="Start"),
    event(events.HOST_START, "dk-01"),
    event(events.HOST_START, "dk-02"),
    event(events.OK, "dk-01", changed=True),
    event(events.FAILED, "dk-02", msg="port 8080 is taken"),
    event(events.PLAY_START, name="Roll"),
    event(events.TASK_START, task="Start"),
    event(events.OK, "dk-03"),
    event(events.FAILED, "dk-04", msg="no", ignored=True),
    event(events.UNREACHABLE, "dk-05", msg="refused"),
    event(events.STATS),
]


def test_clock_and_counts() -> None:
    assert [clock(5.9), clock(65), clock(3601)] == ["0:05", "1:05", "60:01"]
    assert counts({"failed": 1, "ok": 4, "changed": 0}) == "4 ok, 1 failed"


def test_a_tally_says_how_far_a_task_is() -> None:
    tally = Tally("Install", 61)
    for host in ("a", "b", "c"):
        tally.begin(host)
    tally.end("a", "changed")

    assert tally.progress() == "1 of 3 hosts"
    assert tally.line().split() == ["1:01", "Install", "1", "changed"]


def test_batches_are_numbered() -> None:
    batches = Batches()

    assert [batches.title(name) for name in ("A", "A", "B")] == ["PLAY A", "PLAY A (batch 2)", "PLAY B"]


def test_plain_lines_name_failed_hosts_and_hide_what_nobody_had_to_do() -> None:
    out = io.StringIO()
    with shown(Console(file=out, width=80)) as watcher:
        for one in ROLL:
            watcher(one)

    text = out.getvalue()
    assert "\x1b" not in text
    assert [" ".join(line.split()) for line in text.splitlines()] == [
        "PLAY Roll",
        "dk-02 failed: Start: port 8080 is taken",
        "0:00 Start 1 changed, 1 failed",
        "PLAY Roll (batch 2)",
        "dk-05 unreachable: Start: refused",
        "0:00 Start 1 ok, 1 ignored, 1 unreachable",
    ]


def test_a_terminal_gets_colour_and_the_same_words() -> None:
    out = io.StringIO()
    with shown(Console(file=out, width=80, force_terminal=True)) as watcher:
        for one in ROLL:
            watcher(one)

    assert "\x1b[31m" in out.getvalue()
    assert "port 8080 is taken" in out.getvalue()


def test_details_show_differences_but_not_ansibles_headings() -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out), details=DIFFS)
    progress(event(events.PLAY_START, name="P", text="PLAY [P] *****"))
    progress(event(events.TEXT, text="+added [bold]"))

    assert out.getvalue() == "PLAY P\n+added [bold]\n"
