"""The log server's files: what is set aside, compressed and removed, and what a crash leaves."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import pytest

FILES = Path(__file__).parents[3] / "collections/dianrong/cloud/roles/central_logging/files"
SPEC = importlib.util.spec_from_file_location("log_keeper", FILES / "log_keeper.py")
keeper = importlib.util.module_from_spec(SPEC)
sys.modules["log_keeper"] = keeper
SPEC.loader.exec_module(keeper)
NOW = 1_795_435_200.0  # 2026-11-23T12:00:00Z
TODAY = "2026-11-23"


@pytest.fixture
def told(monkeypatch):
    """How often the server was told to open its files anew."""
    calls = []
    monkeypatch.setattr(keeper, "reopen", lambda: calls.append(1))
    return calls


def put(root: Path, name: str, size: int = 10, age: float = 0.0, place: str = "lab/demo/prod/dk-01") -> Path:
    path = root / place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * (size - 1) + b"\n")
    os.utime(path, (NOW - age, NOW - age))
    return path


def limits(root: Path, rotate: int = 1000, days: int = 30, room: int = 10_000) -> dict:
    return {"directory": str(root), "rotate_bytes": rotate, "keep_days": days, "keep_bytes": room}


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_the_clock_of_these_tests_is_right():
    assert time.strftime("%Y-%m-%d", time.gmtime(NOW)) == TODAY


def test_a_large_file_is_set_aside_and_the_server_told_once(tmp_path, told):
    put(tmp_path, f"{TODAY}.log", 2000)
    put(tmp_path, f"{TODAY}.1.log.gz", 50)
    put(tmp_path, f"{TODAY}.log", 2000, place="lab/other/prod/dk-01")
    state = keeper.keep(limits(tmp_path), NOW)
    assert state["set_aside"] == 2
    assert told == [1]
    assert names(tmp_path) == [f"{TODAY}.1.log", f"{TODAY}.1.log.gz", f"{TODAY}.2.log"]


def test_what_is_closed_and_quiet_is_compressed_whole(tmp_path, told):
    old = put(tmp_path, "2026-11-22.log", 500, age=40_000)
    content = old.read_bytes()
    busy = put(tmp_path, "2026-11-21.log", 500, age=10)
    put(tmp_path, f"{TODAY}.log", 500, age=40_000)
    keeper.keep(limits(tmp_path), NOW)
    assert names(tmp_path) == [busy.name, "2026-11-22.log.gz", f"{TODAY}.log"]
    assert gzip.decompress(old.with_name("2026-11-22.log.gz").read_bytes()) == content
    assert told == []


def test_a_compression_that_was_interrupted_is_done_again(tmp_path, told):
    old = put(tmp_path, "2026-11-22.log", 500, age=40_000)
    content = old.read_bytes()
    put(tmp_path, "2026-11-22.log.gz.part", 7)
    keeper.keep(limits(tmp_path), NOW)
    assert names(tmp_path) == ["2026-11-22.log.gz"]
    assert gzip.decompress(old.with_name("2026-11-22.log.gz").read_bytes()) == content


def test_what_is_too_old_goes_with_its_empty_directories(tmp_path, told):
    put(tmp_path, "2026-10-01.log.gz", place="lab/gone/prod/dk-01")
    put(tmp_path, f"{TODAY}.log")
    state = keeper.keep(limits(tmp_path), NOW)
    assert (state["removed_for_age"], state["removed_for_room"]) == (1, 0)
    assert not (tmp_path / "lab/gone").exists()
    assert names(tmp_path) == [f"{TODAY}.log"]


def test_the_oldest_goes_when_there_is_no_room_but_never_what_is_written_to(tmp_path, told):
    put(tmp_path, "2026-11-20.log.gz", 600, age=300_000)
    put(tmp_path, "2026-11-21.log.gz", 600, age=200_000)
    put(tmp_path, f"{TODAY}.log", 700)
    state = keeper.keep(limits(tmp_path, room=1400), NOW)
    assert (state["removed_for_room"], state["removed_for_room_bytes"]) == (1, 600)
    assert names(tmp_path) == ["2026-11-21.log.gz", f"{TODAY}.log"]
    state = keeper.keep(limits(tmp_path, room=100), NOW)
    assert names(tmp_path) == [f"{TODAY}.log"]
    assert state["bytes"] == 700


def test_what_is_not_ours_stays(tmp_path, told):
    put(tmp_path, "notes.txt", 5000, age=9_000_000)
    outside = tmp_path / "outside.log"
    outside.write_text("keep")
    (tmp_path / "lab/demo/prod/dk-01" / "2020-01-01.log").symlink_to(outside)
    state = keeper.keep(limits(tmp_path, room=10), NOW)
    assert state["files"] == 0
    assert (tmp_path / "lab/demo/prod/dk-01/notes.txt").exists()
    assert outside.read_text() == "keep"


def test_two_at_once_take_turns(tmp_path, monkeypatch):
    """The timer's and one that was started by hand would set the same file aside and write the same state."""
    monkeypatch.setattr(keeper, "STATE", str(tmp_path / "state.json"))
    monkeypatch.setattr(keeper, "STATS", str(tmp_path / "stats"))
    (tmp_path / "keeper.json").write_text(json.dumps(limits(tmp_path)))
    turns = []

    def keep(_limits, _now):
        with open_directory(tmp_path) as directory, pytest.raises(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        turns.append(1)
        return {"removed_for_room": 0, "bytes": 0}

    monkeypatch.setattr(keeper, "keep", keep)
    for _ in range(2):
        keeper.main(str(tmp_path / "keeper.json"))
    assert turns == [1, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keeper.json", "state.json"]


@contextlib.contextmanager
def open_directory(path: Path):
    directory = os.open(path, os.O_RDONLY)
    yield directory
    os.close(directory)


def test_limits_that_are_kept_change_nothing(tmp_path, told):
    put(tmp_path, f"{TODAY}.log", 100)
    put(tmp_path, "2026-11-22.log.gz", 100)
    keeper.keep(limits(tmp_path), NOW)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.log*")}
    state = keeper.keep(limits(tmp_path), NOW)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.log*")} == first
    assert state["oldest"] == "2026-11-22"
