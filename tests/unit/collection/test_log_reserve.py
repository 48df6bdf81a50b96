"""When the log server stops for lack of room, and when it starts again; the rest is seen on a host."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "collections/dianrong/cloud/roles/central_logging/files"
SPEC = importlib.util.spec_from_file_location("log_reserve", FILES / "log_reserve.py")
reserve = importlib.util.module_from_spec(SPEC)
sys.modules["log_reserve"] = reserve
SPEC.loader.exec_module(reserve)
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("free", "inodes", "stopped", "expected"),
    [
        (100, None, False, False),
        (99, None, False, True),
        (124, None, True, True),
        (125, None, True, False),
        (1000, 999, False, True),
        (1000, 1000, False, False),
        (1000, 1249, True, True),
        (1000, 1250, True, False),
    ],
)
def test_it_stops_below_what_is_kept_free_and_starts_with_a_quarter_more(free, inodes, stopped, expected):
    assert reserve.short(free, inodes, 100, stopped) is expected


def test_the_room_of_a_directory_that_is_not_made_yet_is_that_of_the_one_above(tmp_path):
    free, _inodes = reserve.room(str(tmp_path / "a" / "b"))
    assert free == pytest.approx(reserve.room(str(tmp_path))[0], rel=0.1)
    assert free > 0


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server that is a word, and a disk that is a number."""

    class Server:
        active = True
        free = 1000 * MIB
        does_start = True

        def __init__(self):
            self.calls = []

        def systemctl(self, *words):
            if words[0] == "is-active":
                return self.active
            self.calls.append(words[0])
            if words[0] == "start" and not self.does_start:
                return False
            self.active = words[0] == "start"
            return True

        def look(self):
            reserve.look(str(tmp_path / "limits.json"))
            return self.active

    found = Server()
    (tmp_path / "limits.json").write_text(json.dumps({"directory": "/", "reserve_bytes": 512 * MIB}))
    monkeypatch.setattr(reserve, "MARK", str(tmp_path / "stopped"))
    monkeypatch.setattr(reserve, "systemctl", found.systemctl)
    monkeypatch.setattr(reserve, "room", lambda directory: (found.free, 10_000))
    return found


def test_it_stops_once_says_why_and_starts_when_there_is_room(server, tmp_path, capsys):
    assert server.look()
    server.free = 511 * MIB
    assert not server.look()
    assert not server.look()
    assert server.calls == ["stop"]
    words = "/ has 511 MiB and 10000 inodes free, 512 MiB and 1000 inodes are kept free"
    assert (tmp_path / "stopped").read_text() == f"{words}\n"
    assert capsys.readouterr().out.startswith(f"<2>the log server is stopped: {words}; nothing is lost")
    server.free = 700 * MIB
    assert server.look()
    assert server.look()
    assert server.calls == ["stop", "start"]
    assert not (tmp_path / "stopped").exists()


def test_one_that_somebody_starts_without_room_is_stopped_again(server):
    server.free = 0
    assert not server.look()
    server.active = True
    assert not server.look()
    assert server.calls == ["stop", "stop"]


def test_one_that_somebody_else_stopped_stays_stopped(server):
    server.active = False
    assert not server.look()
    server.free = 0
    assert not server.look()
    server.free = 1000 * MIB
    assert not server.look()
    assert server.calls == []


def test_one_that_does_not_start_is_tried_again(server):
    server.free = 0
    server.look()
    server.free, server.does_start = 1000 * MIB, False
    assert not server.look()
    server.does_start = True
    assert server.look()
    assert server.calls == ["stop", "start", "start"]
