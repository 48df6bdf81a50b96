"""What stands beside the forwarder: places in the journal, counts over restarts, what is said."""

from __future__ import annotations

import importlib.util
import json
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


def test_after_a_good_end_nothing_is_read_again(tmp_path, journal):
    (tmp_path / "imjournal.state").write_text("s=1;i=500")
    client.stopped("success", str(tmp_path))
    assert client.rewind(str(tmp_path)) is None
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=500"
    assert journal[0] == []


def test_the_good_end_counts_once(tmp_path, journal):
    (tmp_path / "imjournal.state").write_text("s=1;i=500")
    client.stopped("success", str(tmp_path))
    client.rewind(str(tmp_path))
    journal[1].append([{"__CURSOR": f"s=1;i={number}"} for number in range(500, 300, -1)])
    assert client.rewind(str(tmp_path)) == "s=1;i=301"
    assert (tmp_path / "imjournal.state").read_text() == "s=1;i=301"
    assert journal[0] == [("--reverse", "--lines=200", "--cursor=s=1;i=500")]


@pytest.mark.parametrize("result", ["signal", "core-dump", "watchdog", None])
def test_a_bad_end_leaves_no_mark(tmp_path, result):
    client.stopped(result, str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_first_start_reads_the_whole_journal(tmp_path, journal):
    assert client.rewind(str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_the_journal_no_longer_has_stays(tmp_path, journal):
    (tmp_path / "imjournal.state").write_text("s=gone;i=1")
    assert client.rewind(str(tmp_path)) is None
    assert (tmp_path / "imjournal.state").read_text() == "s=gone;i=1"


def test_only_the_newest_counters_count_and_damaged_lines_do_not():
    text = stats(1, 10) + '2026: {"name": "central-log que' + "\nno json\n" + stats(7, 20)
    assert client.latest(text)["central-log queue"]["discarded.full"] == 7


@pytest.mark.parametrize(
    ("before", "counters", "dropped"),
    [
        ({}, stats(5, 10), 5),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, stats(5, 12), 5),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, stats(8, 12), 8),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, stats(0, 3), 5),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, stats(2, 3), 7),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, stats(5, 10, nearly=2), 7),
        ({"dropped": 5, "seen": {"dropped": 5, "taken": 10}}, "", 5),
    ],
    ids=[
        "first",
        "nothing new",
        "more",
        "started again",
        "more since it started",
        "nearly full",
        "no counters",
    ],
)
def test_drops_add_up_over_restarts(before, counters, dropped):
    assert client.counted(before, client.latest(counters))["dropped"] == dropped


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


def test_a_loss_is_said_at_once_and_wellness_once_an_hour(tmp_path, journal, capsys):
    (tmp_path / "stats").write_text(stats(0, 10))
    first = client.report(str(tmp_path), NOW)
    assert first["dropped"] == first["suppressed"] == 0
    assert capsys.readouterr().out.startswith("<5>in all {")
    client.report(str(tmp_path), NOW + 60)
    assert capsys.readouterr().out == ""
    (tmp_path / "stats").write_text(stats(3, 20))
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


def test_a_long_file_of_counters_is_emptied(tmp_path):
    path = tmp_path / "stats"
    path.write_bytes(b"x" * (client.STATS_LIMIT + 1))
    client.shorten(str(path))
    assert path.stat().st_size == 0
    client.shorten(str(tmp_path / "missing"))
