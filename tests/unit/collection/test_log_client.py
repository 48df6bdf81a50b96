"""What stands beside the forwarder: places in the journal, counts over restarts, what is said."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "collections/dianrong/cloud/roles/central_logging/files"
SPEC = importlib.util.spec_from_file_location("log_client", FILES / "log_client.py")
client = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(client)
NOW = 1_795_000_000.0


def stats(dropped, taken, size=0, nearly=0):
    queue = {
        "name": "central-log queue",
        "size": size,
        "enqueued": taken,
        "discarded.full": dropped,
        "discarded.nf": nearly,
    }
    action = {"name": "central-log", "processed": 7}
    return f"Mon Nov 23 00:00:00 2026: {json.dumps(action)}\nMon Nov 23 00:00:00 2026: {json.dumps(queue)}\n"


@pytest.fixture
def journal(monkeypatch):
    """A journal of numbered entries; each call is kept."""
    calls, answers = [], []

    def ask(*arguments):
        calls.append(arguments)
        return answers.pop(0) if answers else []

    monkeypatch.setattr(client, "journal", ask)
    return calls, answers


class Past:
    """A journal of so many entries before a place, in the place of the one function that asks it."""

    def __init__(self, entries: int = 10**6) -> None:
        self.entries, self.asked = entries, []

    def earlier(self, cursor, count):
        self.asked.append((cursor, count))
        found = min(count, self.entries)
        return found, f"{cursor}-{found}" if found else ""


@pytest.fixture
def past(monkeypatch):
    past = Past()
    monkeypatch.setattr(client, "earlier", past.earlier)
    return past


def ended(state, waiting=0):
    """A forwarder that has ended, with messages in its queue as rsyslog writes it down."""
    (state / "imjournal.state").write_text("s=1;i=500")
    if waiting:
        (state / "forward.qi").write_text(f"<OPB:1:qqueue:1:\n+iQueueSize:2:4:{waiting}:\n>End\n.\n")
        (state / "forward.00000001").write_text("messages")


def left(state):
    return sorted(path.name for path in state.iterdir())


def test_what_may_not_have_arrived_is_read_again(tmp_path, past):
    ended(tmp_path)
    assert client.rewind(True, str(tmp_path)) == 0
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=500-256"
    assert past.asked == [("s=1;i=500", 256)]
    assert left(tmp_path) == ["imjournal.state"]


def test_the_journal_takes_the_place_of_a_queue_that_may_lack_both_its_ends(tmp_path, past):
    ended(tmp_path, waiting=700)
    assert client.rewind(True, str(tmp_path)) == 0
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=500-956"
    assert left(tmp_path) == ["imjournal.state"]


@pytest.mark.parametrize(
    ("complete", "entries"), [(False, 10**6), (True, 900)], ids=["drops", "short journal"]
)
def test_a_queue_that_the_journal_cannot_replace_stays_and_what_left_it_counts(
    tmp_path, past, complete, entries
):
    ended(tmp_path, waiting=700)
    past.entries = entries
    assert client.rewind(complete, str(tmp_path)) == client.WINDOW
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=500-256"
    assert left(tmp_path) == ["forward.00000001", "forward.qi", "imjournal.state"]


def test_what_may_be_lost_counts_as_dropped(tmp_path, journal):
    client.missed(128, str(tmp_path))
    client.missed(128, str(tmp_path))
    assert client.report(str(tmp_path), NOW)["dropped"] == 256


@pytest.mark.parametrize(("dropped", "complete"), [(0, True), (3, False)])
def test_a_start_says_whether_the_last_forwarder_dropped_nothing(tmp_path, journal, dropped, complete):
    (tmp_path / "stats").write_text(stats(dropped, 100))
    assert client.begin(str(tmp_path)) is complete


def test_a_first_start_reads_the_whole_journal(tmp_path, past):
    assert client.rewind(True, str(tmp_path)) == 0
    assert left(tmp_path) == []


def test_a_place_that_the_journal_no_longer_has_stays(tmp_path, past):
    ended(tmp_path)
    past.entries = 0
    assert client.rewind(True, str(tmp_path)) == 0
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=500"


def seen(dropped, taken):
    return {"dropped": dropped, "taken": taken}


@pytest.mark.parametrize(
    ("before", "lines", "dropped"),
    [
        ({}, stats(5, 10), 5),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(5, 12), 5),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(6, 11) + stats(8, 12), 8),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(0, 3), 5),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(2, 3), 7),
        ({"dropped": 0, "seen": seen(0, 100)}, stats(10_000, 20_000) + stats(0, 5), 10_000),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(7, 20) + stats(1, 2) + stats(3, 9) + stats(2, 30), 12),
        ({"dropped": 5, "seen": seen(5, 10)}, stats(5, 10, nearly=2), 7),
        ({"dropped": 5, "seen": seen(5, 10)}, "", 5),
        ({}, stats(1, 10) + '2026: {"name": "central-log que' + "\nno json\n[1]\n" + stats(7, 20), 7),
    ],
    ids=[
        "first",
        "nothing new",
        "more",
        "started again",
        "more since it started",
        "dropped before it started again",
        "started again and again",
        "nearly full",
        "no counters",
        "damaged lines",
    ],
)
def test_drops_add_up_over_restarts(before, lines, dropped):
    assert client.counted(before, lines)["dropped"] == dropped


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_each_line_of_counters_is_read_once_and_when_it_is_whole(tmp_path, journal):
    path = tmp_path / "stats"
    path.write_text(stats(3, 10) + stats(1, 2)[:-20])
    assert client.report(str(tmp_path), NOW)["dropped"] == 3
    append(path, stats(1, 2)[-20:])
    assert client.report(str(tmp_path), NOW)["dropped"] == 4
    assert client.report(str(tmp_path), NOW)["dropped"] == 4
    path.write_text(stats(2, 3))
    assert client.report(str(tmp_path), NOW)["dropped"] == 5


def test_a_start_counts_from_zero_however_much_is_taken_until_the_first_report(tmp_path, journal, capsys):
    """The counters of the new rsyslog may pass those of the old one before they are seen."""
    (tmp_path / "stats").write_text(stats(500, 1000))
    client.report(str(tmp_path), NOW)
    append(tmp_path / "stats", stats(550, 1050))
    client.begin(str(tmp_path))
    capsys.readouterr()
    append(tmp_path / "stats", stats(600, 2000))
    assert client.report(str(tmp_path), NOW + 60)["dropped"] == 550 + 600
    # What was added at the start is said with the rest.
    assert capsys.readouterr().out.startswith("<3>lost: 650 by a full queue, 0 by")


def test_a_first_start_has_nothing_to_count(tmp_path, journal):
    client.begin(str(tmp_path))
    assert client.report(str(tmp_path), NOW)["dropped"] == 0


def test_a_start_does_not_fail_for_its_count(tmp_path, journal, monkeypatch, capsys):
    """On a full disk the forwarder still carries what it can."""

    def full(path, text):
        raise OSError(28, "No space left on device")

    (tmp_path / "stats").write_text(stats(5, 10))
    monkeypatch.setattr(client, "write", full)
    client.begin(str(tmp_path))
    assert "No space left on device" in capsys.readouterr().out


def test_two_reports_at_once_count_once(tmp_path, journal):
    (tmp_path / "stats").write_text(stats(5, 10))
    with client.alone(str(tmp_path)), pytest.raises(BlockingIOError):
        fcntl.flock(os.open(tmp_path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("entry", "count"),
    [
        ({"N_DROPPED": "12", "MESSAGE": "Suppressed 12 messages from docker.service"}, 12),
        ({"MESSAGE": "Suppressed 34 messages from /system.slice/docker.service"}, 34),
        ({"MESSAGE": "something else"}, 0),
    ],
)
def test_what_the_journal_suppressed_is_read(entry, count):
    assert client.suppressed(entry) == count


def test_suppressed_messages_are_looked_for_from_a_place_on_and_counted_once(tmp_path, journal):
    """journalctl's own --after-cursor leaves out the first match behind a place that is no match itself."""
    calls, answers = journal
    answers.extend([[], [{"__CURSOR": "s=1"}]])
    assert client.report(str(tmp_path), NOW)["cursor"] == "s=1"
    assert calls[0] == (f"MESSAGE_ID={client.SUPPRESSED}", "--boot")
    first, second = {"__CURSOR": "s=2", "N_DROPPED": "4"}, {"__CURSOR": "s=3", "N_DROPPED": "5"}
    answers.append([first])
    assert client.report(str(tmp_path), NOW)["suppressed"] == 4
    assert calls[2] == (f"MESSAGE_ID={client.SUPPRESSED}", "--cursor=s=1")
    answers.append([first, second])
    assert client.report(str(tmp_path), NOW)["suppressed"] == 9
    answers.append([second])
    assert client.report(str(tmp_path), NOW)["suppressed"] == 9


def test_a_loss_is_said_at_once_and_wellness_once_an_hour(tmp_path, journal, capsys):
    (tmp_path / "stats").write_text(stats(0, 10))
    first = client.report(str(tmp_path), NOW)
    assert first["dropped"] == first["suppressed"] == 0
    assert capsys.readouterr().out.startswith("<5>in all {")
    client.report(str(tmp_path), NOW + 60)
    assert capsys.readouterr().out == ""
    append(tmp_path / "stats", stats(3, 20))
    journal[1].extend([[{"__CURSOR": "s=9", "N_DROPPED": "4"}]])
    client.report(str(tmp_path), NOW + 120)
    said = capsys.readouterr().out
    assert said.startswith("<3>lost: 3 by a full queue, 4 by the journal's rate limit; in all {")
    health = json.loads((tmp_path / "health.json").read_text())
    assert (health["dropped"], health["suppressed"], health["cursor"]) == (3, 4, "s=9")
    client.report(str(tmp_path), NOW + 180)
    assert capsys.readouterr().out == ""
    client.report(str(tmp_path), NOW + 120 + 3600)
    assert capsys.readouterr().out.startswith("<5>in all {")


def test_the_queue_is_measured_without_its_index(tmp_path):
    for name, size in (("forward.00000001", 100), ("forward.00000002", 10), ("forward.qi", 5), ("stats", 3)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert client.size_of_queue(str(tmp_path)) == 110


def test_a_long_file_of_counters_is_emptied_when_all_of_it_was_read(tmp_path):
    path = tmp_path / "stats"
    path.write_bytes(b"x" * (client.STATS_LIMIT + 1))
    assert client.shorten(str(path), client.STATS_LIMIT) == client.STATS_LIMIT
    assert path.stat().st_size == client.STATS_LIMIT + 1
    assert client.shorten(str(path), client.STATS_LIMIT + 1) == 0
    assert path.stat().st_size == 0
    assert client.shorten(str(tmp_path / "missing"), 0) == 0
