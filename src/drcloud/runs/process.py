"""Processes as the kernel shows them: who is whose child, and is this still the same one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start: int

    def alive(self) -> bool:
        """Tell whether it still runs; a zombie does not."""
        return _start(self.pid) == self.start

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` after the name: state, parent … (proc(5))."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _start(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def this() -> Process:
    """Return the process we are."""
    return Process(os.getpid(), _start(os.getpid()) or 0)


def find(pid: int) -> Process | None:
    """Return the running process with a number."""
    start = _start(pid)
    return None if start is None else Process(pid, start)


def descendants(pid: int) -> list[Process]:
    """Return the children of a process, their children and so on; not those that left for init."""
    children: dict[int, list[Process]] = {}
    for entry in PROC.iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else []
        if fields and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(Process(int(entry.name), int(fields[19])))
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        direct = children.get(waiting.pop(), [])
        found += direct
        waiting += [process.pid for process in direct]
    return found


def with_variable(pid: int, name: str, value: str) -> Process | None:
    """Return the direct child of ``pid`` whose environment has the variable."""
    wanted = f"{name}={value}".encode()
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            if wanted in (PROC / str(child.pid) / "environ").read_bytes().split(b"\0"):
                return child
    return None


def end(processes: Iterable[Process], grace: float) -> list[Process]:
    """Ask the processes to end, kill those that do not within ``grace`` seconds; return the killed."""
    left = [process for process in processes if process.alive()]
    for process in left:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if process.alive()]
    for process in left:
        process.send(signal.SIGKILL)
    return left


@cache
def machine() -> str:
    """Return a name of this boot of this machine (or container): process numbers mean something in it."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append((PROC / "sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink(PROC / "self/ns/pid"))
    return " ".join(parts)
