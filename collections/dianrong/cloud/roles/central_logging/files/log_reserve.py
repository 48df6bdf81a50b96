# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop the log server before its file system is full, and start it again when there is room.

On a full disk rsyslog acknowledges what it cannot write, and loses it. A server that is stopped loses
nothing: what the hosts have to say waits in their queues. Looks once a second, which is why what is kept
free has to be more than arrives in a second or two. A crash at any point is gone on with by the next start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

SERVER = "drcloud-log-server.service"
# There as long as it was us who stopped the server; one that somebody else stopped is theirs.
MARK = "/var/lib/drcloud/log-reserve/stopped"
SECONDS = 1.0
# It starts again with so much more room than it was stopped for, lest it stops at once.
AMPLE = 1.25
# Small files take all inodes of some file systems before their bytes.
INODES = 1000


def room(directory):
    """Return the bytes and inodes that are free for everybody but root; None where inodes are not counted.

    A directory that is not made yet will be made in the nearest one above it.
    """
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize, status.f_favail if status.f_files else None


def short(free, inodes, reserve, stopped):
    """Return whether there is too little room for the server to run. Pure."""
    ample = AMPLE if stopped else 1
    return free < reserve * ample or (inodes is not None and inodes < INODES * ample)


def systemctl(*words):
    """Run systemctl; return whether it agreed."""
    done = subprocess.run(["systemctl", *words], check=False, capture_output=True, text=True)
    if done.returncode and words[0] != "is-active":
        print(f"<3>systemctl {' '.join(words)}: {done.stderr.strip()}", flush=True)
    return done.returncode == 0


def told(directory, free, inodes, reserve):
    """Return what there is, in a sentence of a person's units. Pure."""
    counted = "" if inodes is None else f" and {inodes} inodes"
    kept = f"{reserve >> 20} MiB and {INODES} inodes are kept free"
    return f"{directory} has {free >> 20} MiB{counted} free, {kept}"


def stop(words):
    """Stop the server, having noted that it was us."""
    print(
        f"<2>the log server is stopped: {words}; nothing is lost as long as the queues of the hosts hold it, "
        "so make room (central_logging_keep_megabytes says how much the log may take)",
        flush=True,
    )
    with open(MARK + ".part", "w", encoding="utf-8") as file:
        file.write(words + "\n")
    os.replace(MARK + ".part", MARK)
    systemctl("stop", SERVER)


def start(words):
    """Start the server that we stopped."""
    print(f"<5>the log server starts again: {words}", flush=True)
    if systemctl("start", SERVER):
        os.unlink(MARK)


def look(path):
    """Look once, and do what has to be done."""
    with open(path, encoding="utf-8") as file:
        limits = json.load(file)
    stopped = os.path.exists(MARK)
    directory, reserve = limits["directory"], limits["reserve_bytes"]
    free, inodes = room(directory)
    if short(free, inodes, reserve, stopped):
        # Also when somebody started what we had stopped.
        if systemctl("is-active", "--quiet", SERVER):
            stop(told(directory, free, inodes, reserve))
    elif stopped:
        start(told(directory, free, inodes, reserve))


def main(path):
    """Look for as long as we run."""
    while True:
        look(path)
        time.sleep(SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
