"""Processes and mounts of this machine, read from /proc: what a killed lab may have left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")

Finder = Callable[[], list[int]]


def command_line(pid: int) -> str:
    """Return the command line of a process with blanks between the words; empty when it is gone."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def with_word(text: str) -> list[int]:
    """Return the processes whose command line contains ``text``."""
    return [pid for pid in _pids() if text in command_line(pid)]


def with_environment(assignment: str) -> list[int]:
    """Return the processes that were started with ``NAME=value`` in their environment."""
    return [pid for pid in _pids() if assignment in _read(pid, "environ").split("\0")]


def ancestors(pid: int) -> set[int]:
    """Return the parents of a process up to init."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        status = _read(pid, "status")
        parent = next((line.split()[1] for line in status.splitlines() if line.startswith("PPid:")), "0")
        pid = int(parent)
        found.add(pid)
    return found


def kill(pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone already is as good as dead."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition every 0.1 s; return whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def mounts_below(directory: Path) -> list[Path]:
    """Return the mount points at or below a directory, the innermost first."""
    prefix = str(directory)
    points = [_unescape(line.split()[4]) for line in (_PROC / "self" / "mountinfo").read_text().splitlines()]
    mine = [point for point in points if point == prefix or point.startswith(prefix + "/")]
    return [Path(point) for point in reversed(mine)]


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
