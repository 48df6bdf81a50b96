# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The block devices of a host as sysfs describes them, and which of them a declared identity means."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
# Of the designators that a disk gives itself, those prefixes say of what kind the number is.
WWN_KINDS = ("naa.", "eui.", "nvme.", "uuid.", "t10.", "wwn-", "0x")


class DiskError(Exception):
    """A declared device is not there, or is another one; the message names it."""


@dataclass(frozen=True)
class Disk:
    """A block device. ``numbers`` is ``major:minor``; ``size`` in bytes; ``parts`` are its partitions."""

    name: str
    numbers: str
    size: int
    serial: str | None = None
    wwn: str | None = None
    read_only: bool = False
    holders: tuple[str, ...] = ()
    parts: tuple[Disk, ...] = ()

    @property
    def all_numbers(self):
        """The numbers of the device and of its partitions."""
        return {self.numbers, *(part.numbers for part in self.parts)}


def same_wwn(one, other):
    """Return whether two spellings (``0x5000…``, ``naa.5000…``) are of the same WWN."""
    return _bare(one) == _bare(other)


def _bare(wwn):
    text = wwn.strip().lower()
    for kind in WWN_KINDS:
        text = text[len(kind) :] if text.startswith(kind) else text
    return text


def read_disks(sysfs="/sys"):
    """Return all disks of the host, in the order of their names; without those of no size."""
    found = [read_disk(path) for path in sorted(Path(sysfs, "block").glob("*"))]
    return [disk for disk in found if disk.size]


def read_disk(directory):
    """Return the device that one directory of sysfs describes, a disk or a partition."""
    directory = Path(directory)
    # A partition has its disk's identity only together with its number, so it is told by path.
    parts = [path.parent for path in sorted(directory.glob("*/partition"))]
    return Disk(
        name=directory.name.replace("!", "/"),
        numbers=_text(directory / "dev") or "",
        size=int(_text(directory / "size") or 0) * SECTOR,
        serial=_serial(directory),
        wwn=_text(directory / "device/wwid") or _text(directory / "wwid"),
        read_only=_text(directory / "ro") == "1",
        holders=tuple(sorted(path.name for path in directory.glob("holders/*"))),
        parts=tuple(read_disk(path) for path in parts),
    )


def _serial(directory):
    """Return a disk's serial: page 0x80 of SCSI's vital product data (SPC-4), or what the driver tells."""
    try:
        page = (directory / "device/vpd_pg80").read_bytes()
    except OSError:
        return _text(directory / "device/serial") or _text(directory / "serial")
    length = int.from_bytes(page[2:4], "big")
    return page[4 : 4 + length].decode("ascii", "replace").strip(" \0") or None


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip(" \n\0") or None
    except OSError:
        return None


def by_path(path, sysfs="/sys"):
    """Return the disk or partition behind a device node."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DiskError(f"block device {path}: it is not there ({error.strerror})") from error
    if not stat.S_ISBLK(status.st_mode):
        raise DiskError(f"block device {path}: this is no block device")
    numbers = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    directory = Path(sysfs, "dev/block", numbers)
    if not directory.exists():
        raise DiskError(f"block device {path}: the kernel knows no device {numbers}")
    return read_disk(directory.resolve())


def resolve(declared, disks, sysfs="/sys"):
    """Return the disk that a declared identity means; all that is declared of it must agree.

    ``declared`` has path, serial and wwn, each None where it is not declared.
    """
    label = f"block device {declared.serial or declared.wwn or declared.path}"
    if declared.path:
        found = [by_path(declared.path, sysfs)]
    else:
        found = [disk for disk in disks if _has_wwn(declared, disk) and _has_serial(declared, disk)]
        # Where only the serial agrees, the sentence about the WWN is what helps.
        found = found or [disk for disk in disks if declared.serial and _has_serial(declared, disk)]
    if not found:
        raise DiskError(f"{label}: no disk of this host has that identity; it has {_listed(disks)}")
    if len(found) > 1:
        names = " and ".join(disk.name for disk in found)
        raise DiskError(
            f"{label}: {names} both have that identity; declare a wwn or a path that only one has"
        )
    _refuse_other(declared, found[0])
    return found[0]


def _has_serial(declared, disk):
    return declared.serial is None or declared.serial == disk.serial


def _has_wwn(declared, disk):
    return declared.wwn is None or (disk.wwn is not None and same_wwn(declared.wwn, disk.wwn))


def _refuse_other(declared, disk):
    label = f"block device {declared.path or disk.name}"
    if not _has_serial(declared, disk):
        has = f"serial {disk.serial}" if disk.serial else "no serial"
        raise DiskError(
            f"{label}: it has {has}, and the CMDB declares {declared.serial}: this is another disk"
        )
    if not _has_wwn(declared, disk):
        has = f"WWN {disk.wwn}" if disk.wwn else "no WWN"
        raise DiskError(f"{label}: it has {has}, and the CMDB declares {declared.wwn}: this is another disk")


def _listed(disks):
    named = [f"{disk.name} ({disk.serial or disk.wwn})" for disk in disks if disk.serial or disk.wwn]
    return ", ".join(named) or "no disk with a serial or a WWN"
