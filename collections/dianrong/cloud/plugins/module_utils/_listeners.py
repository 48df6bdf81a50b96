# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program listens at a port of this host, as the kernel tells it (proc(5))."""

from __future__ import annotations

import contextlib
import os

LISTENING = "0A"
TABLES = ("net/tcp", "net/tcp6")


def holder(port, proc="/proc"):
    """Return name and pid of a program that listens at a port, or None where none is seen.

    Only root sees the programs of others. A program of another network namespace is not here.
    """
    wanted = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not wanted:
        return None
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            if wanted & _sockets(f"{proc}/{pid}/fd"):
                with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="replace") as name:
                    return name.read().strip(), int(pid)
        except OSError:  # It has ended, or is not ours to look at.
            continue
    return None


def _inodes(port, proc):
    """Return the inodes of all sockets that listen at a port, whatever the address."""
    found = []
    for table in TABLES:
        try:
            with open(f"{proc}/{table}", encoding="ascii") as rows:
                lines = rows.read().splitlines()[1:]
        except FileNotFoundError:  # IPv6 is off.
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == int(port):
                found.append(columns[9])
    return found


def _sockets(directory):
    """Return what the open files of a program are called; it opens and closes others meanwhile."""
    found = set()
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(f"{directory}/{name}"))
    return found
