# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two directory trees: how much one holds, and where they differ."""

from __future__ import annotations

import contextlib
import os
import stat

BLOCK = 512
CHUNK = 1 << 20
# What a file system of its own has at its root.
OWN = ("lost+found",)


def walk(root, onerror=None):
    """Return the paths below a directory, relative to it, sorted; links are not followed.

    ``onerror`` is given what is wrong with a directory, and may raise it; without it, everything is raised.
    """
    found = []
    for directory, directories, files in os.walk(root, onerror=onerror or _fail):
        inner = os.path.relpath(directory, root)
        found += [os.path.normpath(os.path.join(inner, name)) for name in (*directories, *files)]
    return sorted(path for path in found if path not in OWN)


def _fail(error):
    raise error


def _fail_unless_gone(error):
    if not isinstance(error, FileNotFoundError):
        raise error


def used(root):
    """Return how many bytes a tree takes on its disk; what several names share counts once.

    Somebody may be at work in it: what goes while it is counted takes nothing.
    """
    seen = {}
    for path in walk(root, _fail_unless_gone):
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(os.path.join(root, path))
            seen[status.st_dev, status.st_ino] = status.st_blocks * BLOCK
    return sum(seen.values())


def differences(one, other):
    """Yield where two trees differ, one sentence part each: names, attributes, links and content."""
    mine, yours = walk(one), walk(other)
    yield from (f"{path}: only in {one}" for path in sorted(set(mine) - set(yours)))
    yield from (f"{path}: only in {other}" for path in sorted(set(yours) - set(mine)))
    names = {}
    for path in sorted(set(mine) & set(yours)):
        left, right = os.path.join(one, path), os.path.join(other, path)
        before, after = os.lstat(left), os.lstat(right)
        # Names that shared a file must share one again: the first name stands for the others.
        kin = names.setdefault((before.st_dev, before.st_ino), (path, after.st_ino))
        if kin[1] != after.st_ino and not stat.S_ISDIR(before.st_mode):
            yield f"{path}: no longer the same file as {kin[0]}"
        unequal = _attributes(left, before) != _attributes(right, after)
        if unequal or (kin[0] == path and not _same_content(left, right, before)):
            yield f"{path}: " + ("other attributes" if unequal else "other content")


def _attributes(path, status):
    mode, kind = status.st_mode, stat.S_IFMT(status.st_mode)
    size = status.st_size if kind in (stat.S_IFREG, stat.S_IFLNK) else 0
    device = status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
    names = sorted(os.listxattr(path, follow_symlinks=False))
    extended = [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names]
    return mode, status.st_uid, status.st_gid, size, device, status.st_mtime_ns, extended


def _same_content(left, right, status):
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(left) == os.readlink(right)
    if not stat.S_ISREG(status.st_mode):
        return True
    with open(left, "rb") as one, open(right, "rb") as other:
        while True:
            mine, yours = one.read(CHUNK), other.read(CHUNK)
            if mine != yours:
                return False
            if not mine:
                return True
