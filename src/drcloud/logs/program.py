"""The program that reads the central log, on the log server; it is sent there over SSH and leaves nothing.

It needs Python 3.9 and its standard library. Its request is one line of JSON on standard input; with
``follow`` it goes on until that input ends, which is when the connection does. Lines leave it as the server
keeps them: JSON, one a line.
"""

from __future__ import annotations

import collections
import contextlib
import glob
import gzip
import heapq
import itertools
import json
import os
import re
import select
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

LIMITS = "/etc/drcloud/log-server/keeper.json"
# There while the server is stopped for lack of room; says how little there is (role central_logging).
STOPPED = "/var/lib/drcloud/log-reserve/stopped"
NAME = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(\.(?P<number>\d+))?\.log(?P<packed>\.gz)?")
# Exit codes: nothing is kept of what was asked for; this host keeps no central log.
NOTHING, NO_SERVER = 10, 11
# Seconds between two looks, and how long a file that was set aside may still get lines.
PAUSE, LINGER = 0.3, 15.0
# A host's clock may be this far ahead of the server's, in seconds.
SKEW = 300.0
# After a crash a host sends its last few hundred lines again; so many are remembered to leave them out.
REMEMBERED = 5000
BLOCK = 65536


class Tail:
    """The file of a host that the server writes to: read to its end, and again when there is more."""

    def __init__(self, path: str) -> None:
        """Open it."""
        self.path = path
        self.file = open(path, "rb")  # noqa: SIM115 - it stays open
        self.inode = os.fstat(self.file.fileno()).st_ino
        self.rest = b""
        self.left_at: float | None = None

    def lines(self) -> Iterator[bytes]:
        """Yield whole lines that were not read before."""
        while True:
            block = self.file.read(BLOCK)
            if not block:
                return
            *whole, self.rest = (self.rest + block).split(b"\n")
            yield from whole

    def skip_to_last(self, count: int) -> None:
        """Go forward to where the last ``count`` lines begin."""
        end = self.file.seek(0, os.SEEK_END)
        data = b""
        while end and data.count(b"\n") <= count:
            step = min(BLOCK, end)
            end = self.file.seek(end - step)
            data = self.file.read(step) + data
        surplus = data.count(b"\n") - count
        start = 0
        for _ in range(max(surplus, 0)):
            start = data.index(b"\n", start) + 1
        self.file.seek(end + start)

    def renamed(self) -> bool:
        """Tell whether another file, or none, has the name now."""
        try:
            return os.stat(self.path).st_ino != self.inode
        except FileNotFoundError:
            return True


class Once:
    """Leaves out what was sent twice: a line has its time in microseconds, so no two are the same."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.known: set[int] = set()
        self.order: collections.deque[int] = collections.deque()

    def __call__(self, line: bytes) -> bool:
        """Tell whether the line is new."""
        mark = hash(line)
        if mark in self.known:
            return False
        self.known.add(mark)
        self.order.append(mark)
        if len(self.order) > REMEMBERED:
            self.known.discard(self.order.popleft())
        return True


class Folder:
    """What one host sent of one app and environment."""

    def __init__(self, path: str) -> None:
        """Read nothing yet."""
        self.path = path
        self.once = Once()
        self.tails: list[Tail] = []

    def files(self) -> tuple[list[str], str | None]:
        """Return closed files, oldest first, and the one that is written to, if there is one."""
        found: dict[tuple[str, float], list[str]] = {}
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError):  # the keeper removes it with its last file
            names = os.listdir(self.path)
        for name in names:
            match = NAME.fullmatch(name)
            if match:
                number = int(match["number"] or 0) or float("inf")
                # Compressed and not yet removed: one of both is enough.
                found.setdefault((match["day"], number), []).append(name)
        ordered = [os.path.join(self.path, max(found[key])) for key in sorted(found)]
        if ordered and re.fullmatch(r"\d{4}-\d{2}-\d{2}\.log", os.path.basename(ordered[-1])):
            return ordered[:-1], ordered[-1]
        return ordered, None

    def opened(self) -> tuple[list[str], Tail | None]:
        """Return closed files and the one that is written to, as they were at one moment.

        The keeper may set the latter aside between its name being read and its being opened.
        """
        while True:
            closed, active = self.files()
            if active is None:
                return closed, None
            with contextlib.suppress(FileNotFoundError):
                tail = Tail(active)
                if self.files() == (closed, active):
                    return closed, tail
                tail.file.close()

    def history(self, since: float | None, count: int | None) -> Iterator[bytes]:
        """Yield lines from a moment on, or about the last ``count``, up to now."""
        closed, tail = self.opened()
        if tail:
            self.tails.append(tail)
        chosen = [path for path in closed if since is None or changed(path) >= since - SKEW]
        if count is None:
            parts = [*map(read, chosen), *(tail.lines() for tail in self.tails)]
            return filter(self.once, itertools.chain.from_iterable(parts))
        return iter(self.last(chosen, count))

    def last(self, closed: list[str], count: int) -> list[bytes]:
        """Return the last lines of the host."""
        lines: list[bytes] = []
        for tail in self.tails:
            tail.skip_to_last(count)
            lines = list(tail.lines())
        for path in reversed(closed):
            if len(lines) >= count:
                break
            lines = [*collections.deque(read(path), count - len(lines)), *lines]
        return [line for line in lines[-count:] if self.once(line)]

    def news(self, now: float) -> Iterator[bytes]:
        """Yield lines that came since the last look; a file that was set aside is read to its end."""
        _, active = self.files()
        if active and all(tail.path != active or tail.renamed() for tail in self.tails):
            for tail in self.tails:
                tail.left_at = tail.left_at or now
            with contextlib.suppress(
                FileNotFoundError
            ):  # set aside just now: the next look finds the one after it
                self.tails.append(Tail(active))
        for tail in list(self.tails):
            yield from filter(self.once, tail.lines())
            if tail.left_at and now - tail.left_at > LINGER:
                tail.file.close()
                self.tails.remove(tail)


def changed(path: str) -> float:
    """Return when a closed file was written to last, which compressing it leaves; 0 when it is gone."""
    for name in (path, path + ".gz"):
        with contextlib.suppress(FileNotFoundError):
            return os.stat(name).st_mtime
    return 0.0


def read(path: str) -> Iterator[bytes]:
    """Yield the lines of a closed file, which may have been compressed or removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if not os.path.exists(path) and os.path.exists(path + ".gz"):
            path += ".gz"
        opened: Any = gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # noqa: SIM115
        with opened as file:
            for line in file:
                yield line.rstrip(b"\n")


def folders(directory: str, request: dict[str, Any]) -> list[str]:
    """Return the directories of the hosts that were asked for; names are compared, never interpreted."""
    names = [request["app"], request["env"], *(request["hosts"] or [])]
    for name in names:
        if "/" in name or name.startswith(".") or not name:
            raise ValueError(f"{name!r} is no name of a directory")
    place = os.path.join(glob.escape(directory), "*", glob.escape(names[0]), glob.escape(names[1]), "*")
    wanted = set(request["hosts"] or [])
    return sorted(path for path in glob.glob(place) if not wanted or os.path.basename(path) in wanted)


def when(line: bytes) -> bytes:
    """Return the time of a line as it is written there; all of them are in UTC and of one length."""
    start = line.find(b'"time": "')
    return line[start + 9 : start + 41] if start >= 0 else b""


def show(lines: Iterable[bytes]) -> None:
    """Write lines out."""
    out = sys.stdout.buffer
    for line in lines:
        out.write(line + b"\n")
    out.flush()


def since_text(moment: float) -> bytes:
    """Return a moment as the lines have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)).encode() + b".%06d" % (moment % 1 * 1e6)


def past(found: list[Folder], since: float | None, count: int | None) -> Iterable[bytes]:
    """Return what was, of all hosts, in the order of time."""
    first = since_text(since) if since is not None else b""
    merged = heapq.merge(*(folder.history(since, count) for folder in found), key=when)
    lines = (line for line in merged if when(line) >= first)
    return lines if count is None else collections.deque(lines, count)


def follow(directory: str, request: dict[str, Any], found: list[Folder]) -> None:
    """Show what comes, until standard input ends."""
    known = {folder.path: folder for folder in found}
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for path in folders(directory, request):
            # A host that is new sends its first line: all of its file is new.
            known.setdefault(path, Folder(path))
        now = time.monotonic()
        show(heapq.merge(*(folder.news(now) for folder in known.values()), key=when))


def main() -> int:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.readline())
    try:
        with open(request.get("limits") or LIMITS, encoding="utf-8") as file:
            directory = json.load(file)["directory"]
    except FileNotFoundError:
        return NO_SERVER
    with (
        contextlib.suppress(FileNotFoundError),
        open(request.get("stopped") or STOPPED, encoding="utf-8") as file,
    ):
        print(f"note: takes no lines for lack of room: {file.read().strip()}", file=sys.stderr)
    found = [Folder(path) for path in folders(directory, request)]
    if not found and not request["follow"]:
        return NOTHING
    show(past(found, request["since"], request["lines"]))
    if request["follow"]:
        follow(directory, request, found)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        os._exit(0)
