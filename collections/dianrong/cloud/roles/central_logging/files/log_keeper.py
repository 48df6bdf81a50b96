# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the central log within its limits.

Sets large files aside, compresses what is closed, removes what is too old or too much; what was removed for
lack of room is said in the journal. Files are ``<directory>/<idc>/<app>/<env>/<host>/<day>.log``; what was
set aside is ``<day>.<number>.log``, compressed ``….log.gz``. A crash at any point leaves files that the next
run goes on with.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

STATE = "/var/lib/drcloud/log-server/state.json"
STATS = "/var/lib/drcloud/log-server/stats"
SERVER = "drcloud-log-server.service"
NAME = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(\.(?P<number>\d+))?\.log(?P<gz>\.gz)?")
# rsyslog closes a file ten minutes after the last line (closeTimeout), and all of them when it is told to.
QUIET = 900
STATS_LIMIT = 1024 * 1024
DAY = 86400


@dataclass(frozen=True)
class Log:
    """A file of the central log."""

    path: str
    day: str
    number: int
    packed: bool
    size: int
    changed: float

    @property
    def active(self):
        """Whether the server may write to it: it has no number."""
        return self.number == 0 and not self.packed


def scan(directory):
    """Return the files of the central log; others, and symbolic links, are none of ours."""
    found = []
    for folder, _folders, names in os.walk(directory):
        for name in names:
            match = NAME.fullmatch(name)
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(path)
                if match and not os.path.islink(path):
                    number, packed = int(match["number"] or 0), bool(match["gz"])
                    found.append(Log(path, match["day"], number, packed, status.st_size, status.st_mtime))
    return found


def too_large(logs, limit):
    """Return the files to set aside. Pure."""
    return [log for log in logs if log.active and log.size > limit]


def closed(logs, today, now):
    """Return the files to compress: of a past day or set aside, and quiet for a while. Pure."""
    return [
        log
        for log in logs
        if not log.packed and (log.number or log.day < today) and now - log.changed > QUIET
    ]


def expired(logs, now, days, limit):
    """Return what is too old, and beyond that the oldest closed files that make the rest fit. Pure."""
    first = time.strftime("%Y-%m-%d", time.gmtime(now - days * DAY))
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    old = [log for log in logs if log.day < first]
    rest = sorted((log for log in logs if log.day >= first), key=lambda log: (log.day, log.changed, log.path))
    total, much = sum(log.size for log in rest), []
    for log in rest:
        if total <= limit:
            break
        if not (log.active and log.day >= today):
            much.append(log)
            total -= log.size
    return old, much


def set_aside(log, logs):
    """Rename a file; the server goes on writing to it until it is told."""
    folder = os.path.dirname(log.path)
    numbers = [one.number for one in logs if os.path.dirname(one.path) == folder and one.day == log.day]
    os.rename(log.path, os.path.join(folder, f"{log.day}.{max(numbers) + 1}.log"))


def compress(log):
    """Put a compressed file in the place of a closed one."""
    packed = log.path + ".gz"
    with open(log.path, "rb") as source, open(packed + ".part", "wb") as target:
        with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6) as pack:
            shutil.copyfileobj(source, pack, 1024 * 1024)
        target.flush()
        os.fsync(target.fileno())
    os.utime(packed + ".part", (log.changed, log.changed))
    os.rename(packed + ".part", packed)
    os.unlink(log.path)


def remove(logs, directory):
    """Remove files, and the directories that are empty then."""
    for log in logs:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(log.path)
        folder = os.path.dirname(log.path)
        while folder != directory.rstrip("/"):
            try:
                os.rmdir(folder)
            except OSError:
                break
            folder = os.path.dirname(folder)


def reopen():
    """Have the server close its files, and open those of the old names anew."""
    command = ["systemctl", "show", SERVER, "--property=MainPID", "--value"]
    pid = int(subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip() or 0)
    if pid:
        os.kill(pid, signal.SIGHUP)


def keep(limits, now):
    """Do all of it once; return what the state file says."""
    directory = limits["directory"]
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    logs = scan(directory)
    aside = too_large(logs, limits["rotate_bytes"])
    for log in aside:
        set_aside(log, logs)
    if aside:
        reopen()
    for log in closed(logs, today, now):
        with contextlib.suppress(FileNotFoundError):
            compress(log)
    old, much = expired(scan(directory), now, limits["keep_days"], limits["keep_bytes"])
    remove(old + much, directory)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "set_aside": len(aside),
        "removed_for_age": len(old),
        "removed_for_room": len(much),
        "removed_for_room_bytes": sum(log.size for log in much),
        **after(directory),
    }


def after(directory):
    """Return what is there in the end."""
    logs = scan(directory)
    oldest = min((log.day for log in logs), default=None)
    return {"files": len(logs), "bytes": sum(log.size for log in logs), "oldest": oldest}


@contextlib.contextmanager
def alone():
    """Wait until no other one is at work: the timer's and one that was started by hand take the same names.

    The lock is the directory's, for a file that root made could not be opened by the timer's.
    """
    directory = os.open(os.path.dirname(STATE), os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def main(path):
    """Keep the limits of a file; say what did not fit."""
    with open(path, encoding="utf-8") as file:
        limits = json.load(file)
    with alone():
        state = keep(limits, time.time())
        with open(STATE + ".part", "w", encoding="utf-8") as file:
            file.write(json.dumps(state, indent=1) + "\n")
        os.replace(STATE + ".part", STATE)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(STATS).st_size > STATS_LIMIT:
                os.truncate(STATS, 0)
    if state["removed_for_room"] or state["bytes"] > limits["keep_bytes"]:
        print(f"<4>the central log takes more than its {limits['keep_bytes']} bytes: {json.dumps(state)}")


if __name__ == "__main__":
    main(sys.argv[1])
