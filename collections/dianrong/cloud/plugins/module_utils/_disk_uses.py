# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses a block device or a directory: mounts in any mount namespace, swap, holders, open handles."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mount:
    """One line of ``/proc/PID/mountinfo`` (proc(5)); ``root`` is the part of the file system that is seen."""

    numbers: str
    root: str
    point: str
    kind: str
    source: str
    pid: int = 0


def parse_mounts(text, pid=0):
    """Return the mounts of a mountinfo file."""
    mounts = []
    for line in text.splitlines():
        left, _dash, right = line.partition(" - ")
        words, end = left.split(), right.split()
        if len(words) >= 5 and len(end) >= 2:
            root, point = _plain(words[3]), _plain(words[4])
            mounts.append(Mount(words[2], root, point, end[0], _plain(end[1]), pid))
    return mounts


def _plain(word):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def all_mounts(proc="/proc"):
    """Return the mounts of every mount namespace that has a process, each namespace once."""
    seen, mounts = set(), []
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        try:
            namespace = os.readlink(f"{proc}/{pid}/ns/mnt")
            if namespace in seen:
                continue
            text = Path(f"{proc}/{pid}/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            continue
        seen.add(namespace)
        mounts += parse_mounts(text, pid)
    return mounts


def own_mounts():
    """Return the mounts that this process sees."""
    text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return parse_mounts(text)


def mounted_at(point, mounts):
    """Return the mount that is on top at a mount point; None without one."""
    return next((mount for mount in reversed(mounts) if mount.point == point), None)


def uses(disk, node, mounts=None):
    """Return who uses a disk or its partitions, one sentence part each; empty when nobody does."""
    numbers = disk.all_numbers
    said = [
        f"mounted on {mount.point}" + (f" (mount namespace of process {mount.pid})" if mount.pid > 1 else "")
        for mount in (all_mounts() if mounts is None else mounts)
        if mount.numbers in numbers or _numbers(mount.source) in numbers
    ]
    said += [f"active swap ({path})" for path in _swaps() if _numbers(path) in numbers]
    for part in (disk, *disk.parts):
        said += [f"held by {holder}" for holder in part.holders]
    said += _behind_loops(numbers) + _open_handles(numbers)
    return list(dict.fromkeys(said)) or _claimed(node)


def users_of(directory, mounts=None):
    """Return what of a directory is in use: mounts below it, and its parts that are mounted elsewhere."""
    mounts = all_mounts() if mounts is None else mounts
    above = max(
        (mount for mount in own_mounts() if _within(directory, mount.point)),
        key=lambda mount: len(mount.point),
        default=None,
    )
    if above is None:
        return []
    inner = os.path.normpath(os.path.join(above.root, os.path.relpath(directory, above.point)))
    below = [mount.point for mount in mounts if _within(mount.point, directory) and mount.point != directory]
    parts = [
        directory + mount.root[len(inner) :]
        for mount in mounts
        if mount.numbers == above.numbers and _within(mount.root, inner) and mount.point != above.point
    ]
    return list(dict.fromkeys(below + parts))


def _within(path, directory):
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _swaps():
    try:
        lines = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return []
    return [_plain(line.split()[0]) for line in lines if line.strip()]


def _behind_loops(numbers):
    """Return the loop devices whose file is the device itself; the kernel opens it, so no process shows."""
    said = []
    for path in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            backing = Path(path).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if _numbers(backing) in numbers:
            said.append(f"behind {path.split('/')[3]}")
    return said


def _open_handles(numbers):
    said = []
    for path in glob.iglob("/proc/[0-9]*/fd/*"):
        pid = path.split("/")[2]
        if int(pid) != os.getpid() and _numbers(path) in numbers:
            said.append(f"open in process {pid} ({_command(pid)})")
    return said


def _claimed(node):
    """Return whether the kernel, or a program elsewhere, claims the device for itself (open(2), O_EXCL)."""
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return ["claimed by something that this host does not show (another host's mount, or the kernel)"]
        raise
    return []


def _command(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "gone"


def _numbers(path):
    """Return ``major:minor`` of a block device's node; None for anything else."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
