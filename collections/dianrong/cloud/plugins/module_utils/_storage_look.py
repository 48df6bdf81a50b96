# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what the plan for a host's block devices needs to know. Nothing here writes."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import grp
import os
import pwd
import stat
import subprocess
from pathlib import Path

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _disks,
    _signatures,
    _storage_plan,
    _tree,
)

STAGING = "/run/drcloud/storage"
WANTS = "/etc/systemd/system/multi-user.target.wants"


def host_identity():
    """Return what makes the UUIDs of this host's file systems unlike those of any other."""
    try:
        machine = Path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        machine = ""
    return f"{machine}|{os.uname().nodename}"


def stable_node(declared, disk):
    """Return the node by which a device is found again after a boot: the declared path, else udev's."""
    if declared.path:
        return declared.path
    links = sorted(
        path
        for path in glob.glob("/dev/disk/by-id/*")
        if os.path.realpath(path) == os.path.realpath(f"/dev/{disk.name}")
    )
    return next((path for path in links if "/wwn-" in path), links[0] if links else f"/dev/{disk.name}")


@contextlib.contextmanager
def reader(node, claim=False):
    """Open a device to read; ``claim`` takes it exclusively, so that nobody mounts or claims it meanwhile."""
    descriptor = os.open(node, os.O_RDONLY | os.O_CLOEXEC | (os.O_EXCL if claim else 0))
    try:
        yield lambda offset, length: os.pread(descriptor, length, offset) if offset >= 0 else b""
    finally:
        os.close(descriptor)


def look(declared, disk, record):
    """Return what is seen of a device; its content is read through only where it is not known as ours."""
    node = stable_node(declared, disk)
    seen = _storage_plan.Seen(node, disk.size, disk.serial, disk.wwn, read_only=disk.read_only, record=record)
    if declared.purpose == "spare":
        return seen
    with reader(node) as read:
        found = _signatures.file_system(read)
        ftype = found is None or found.name != "xfs" or _signatures.xfs_names_types(read)
    seen = dataclasses.replace(seen, file_system=found, ftype=ftype)
    mounts = _disk_uses.own_mounts()
    staged = f"{STAGING}/"
    mounted = tuple(
        mount.point
        for mount in mounts
        if mount.numbers == disk.numbers and mount.root == "/" and not mount.point.startswith(staged)
    )
    if declared.purpose in _storage_plan.FORMATTED:
        place = _place(declared, disk, mounts)
        seen = dataclasses.replace(seen, mounted=mounted, place=place)
        if _storage_plan.is_ours(declared, seen):
            return seen
    elif _storage_plan.handed_over(declared, seen):
        return seen
    return examine(seen, disk)


def examine(seen, disk):
    """Read a device through: who uses it, what it carries, whether it is blank."""
    uses = tuple(_disk_uses.uses(disk, seen.node))
    with reader(seen.node) as read:
        found = tuple(_signatures.signatures(read, disk.size))
        stain = _signatures.stain(read, disk.size)
    parts = tuple(
        _signatures.Signature(_signatures.TABLE, f"partition {part.name} of a", 0) for part in disk.parts
    )
    return dataclasses.replace(
        seen, uses=uses, signatures=(*found, *parts), stain=stain, recognised=_blkid(seen.node)
    )


def _blkid(node):
    """Return what the host's own blkid recognises, empty for nothing; a second opinion beside ours."""
    try:
        done = subprocess.run(
            ["blkid", "--probe", "--output", "export", node],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    except OSError:
        return ""
    if done.returncode == 8:
        return "several things at once"
    pairs = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return pairs.get("TYPE") or pairs.get("PTTYPE") or ""


def _place(declared, disk, mounts):
    """Return what is at the mount point of a device."""
    point = declared.mount
    if (real := os.path.realpath(point)) != point:
        return _storage_plan.Place(leads_to=real)
    top = _disk_uses.mounted_at(point, mounts)
    ours = top is not None and top.numbers == disk.numbers
    place = _storage_plan.Place(
        other=None if top is None or ours else f"{top.source} ({top.kind})",
        unit=_text(_storage_plan.unit_path(point)),
        drop_in=_text(_storage_plan.drop_in_path()),
        enabled=os.path.lexists(f"{WANTS}/{_storage_plan.escape(point)}.mount"),
        **_ownership(point),
    )
    if top is not None or not os.path.isdir(point) or not os.listdir(point):
        return place
    users = tuple(_disk_uses.users_of(point))
    docker = declared.purpose == "docker-data"
    used = _tree.used(point) if docker else 0
    return dataclasses.replace(place, entries=len(os.listdir(point)), used=used, users=users)


def _ownership(point):
    try:
        status = os.stat(point)
    except OSError:
        return {}
    return {
        "owner": _name(pwd.getpwuid, status.st_uid),
        "group": _name(grp.getgrgid, status.st_gid),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
    }


def _name(known, number):
    try:
        return known(number)[0]
    except KeyError:
        return str(number)


def _text(path):
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return None


def find(declared, sysfs="/sys"):
    """Return the disks of all declared devices; the error lists all that are wrong."""
    disks = _disks.read_disks(sysfs)
    found, wrong = [], []
    for one in declared:
        try:
            found.append(_disks.resolve(one, disks, sysfs))
        except _disks.DiskError as error:
            wrong.append(str(error))
    if not wrong:
        for place, disk in enumerate(found):
            twin = next((n for n in range(place) if found[n].numbers == disk.numbers), None)
            if twin is not None:
                wrong.append(f"{declared[place].label}: it is the same disk as {declared[twin].label}")
    if wrong:
        raise _disks.DiskError("; ".join(wrong))
    return found
