# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take all data off disks of a host that goes: which ones, and how."""

from __future__ import annotations

import fcntl
import os
import struct

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _signatures,
    _storage_journal,
    _storage_look,
    _storage_steps,
)

# <linux/fs.h>: the kernel writes zeroes, or has the device do it, over a range of (offset, length) in bytes.
BLKZEROOUT = 0x127F
AT_ONCE = 1 << 30
UNTOUCHED = "spare"


class WipeError(Exception):
    """A disk is not to be wiped, or cannot be; the message names it and what helps."""


def choose(declared, words):
    """Return the declared disks that are confirmed, in the order of the words. Pure.

    A disk is confirmed by its serial; one that has none by its WWN, else by its path.
    """
    found = []
    for word in words:
        mine = [one for one in declared if word in one.names]
        if not mine:
            known = ", ".join(one.key for one in declared if one.purpose != UNTOUCHED) or "none"
            raise WipeError(f"no disk of this host is declared as {word}; it has {known}")
        one = mine[0]
        if word != one.key:
            raise WipeError(f"{one.label}: confirm it by {one.key}, which nothing else has")
        if one.purpose == UNTOUCHED:
            raise WipeError(f"{one.label} is declared {UNTOUCHED}, and those are never touched")
        if one in found:
            raise WipeError(f"{one.label} is confirmed twice")
        found.append(one)
    return found


class Wipe:
    """One disk; each step may be taken again after a crash."""

    def __init__(self, declared, disk):
        self.declared = declared
        self.disk = disk
        self.node = _storage_look.stable_node(declared, disk)

    def is_blank(self):
        """Tell whether there is nothing on it, as far as that is read; see ``_signatures.stain``."""
        with _storage_look.reader(self.node) as read:
            return _signatures.stain(read, self.disk.size) is None

    def is_mounted(self):
        """Tell whether it is mounted anywhere that this host sees."""
        return any(mount.numbers == self.disk.numbers for mount in _disk_uses.own_mounts())

    def refuse_others(self, running):
        """Raise where somebody else uses the disk; C(running) are the names of containers that run."""
        if running and self.declared.purpose == "docker-data":
            raise WipeError(
                f"{self.declared.label} is the engine's, which has containers that run: {', '.join(running)}"
            )
        points = {mount.point for mount in _disk_uses.own_mounts() if mount.numbers in self.disk.all_numbers}
        if strange := sorted(points - {self.declared.mount}):
            raise WipeError(f"{self.declared.label} is mounted on {', '.join(strange)}: unmount it first")
        if self.disk.parts:
            raise WipeError(
                f"{self.declared.label} has partitions, which are not drCloud's: remove them first"
            )

    def release(self):
        """Take it out of use: the engine stopped for good where its data is there, the mount unit away."""
        if self.declared.purpose == "docker-data":
            _storage_steps.retire_engine()
        if self.declared.mount:
            _storage_steps.retire_mount(self.declared.mount)
        if self.is_mounted():
            raise WipeError(f"{self.declared.label} is still mounted")

    def erase(self):
        """Overwrite it with zeroes from one end to the other; whoever uses it keeps that from happening."""
        try:
            descriptor = os.open(self.node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as error:
            uses = ", ".join(_disk_uses.uses(self.disk, self.node)) or error.strerror
            raise WipeError(f"{self.declared.label} is in use ({uses}): nothing was overwritten") from error
        try:
            for start in range(0, self.disk.size, AT_ONCE):
                length = min(AT_ONCE, self.disk.size - start)
                fcntl.ioctl(descriptor, BLKZEROOUT, struct.pack("QQ", start, length))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not self.is_blank():
            raise WipeError(f"{self.declared.label} was overwritten, and still shows data: destroy the disk")
        _storage_journal.write(self.declared.names, None)


def carry_out(wipes):
    """Release all disks, then erase them."""
    for wipe in wipes:
        wipe.release()
    for wipe in wipes:
        wipe.erase()
