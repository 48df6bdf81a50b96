#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: raw_device
short_description: Put a host's raw disks to their declared purpose, and never destroy data
version_added: 0.1.0
description:
  - Takes all block devices of a host that the CMDB declares and brings each one to its purpose.
  - A device is formatted only when it is blank. One that carries a signature of a file system, a partition
    table, RAID, LVM, encryption, ZFS, bcache or swap anywhere, that is mounted in any mount namespace, held,
    open or claimed, or that holds data which nothing recognises, is refused before anything changes, on all
    devices of the call.
  - Blank means that the first and the last 16 MiB, the places of all known signatures and 512 samples of
    16 KiB spread over the rest are all zero or all 0xFF.
  - Ours is a device whose file system has the UUID that the CMDB records, or that the host's journal in
    C(/var/lib/drcloud/storage) says we made. It is mounted, never formatted.
  - The journal is written before the first byte of the device, so a run that was killed between any two
    steps, or within mkfs, is completed by the next one.
  - The controller records the UUID of a new file system, and that of a raw device, in the CMDB.
  - Two runs at once on one host exclude each other.
options:
  devices:
    description:
      - The devices, in the form of the host variable C(dr_block_devices).
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: A path that stays the same over a boot, such as one under C(/dev/disk/by-id).
        type: path
      serial:
        description: The disk's serial, as C(lsblk -o SERIAL) shows it.
        type: str
      wwn:
        description: The disk's World Wide Name, with or without a prefix such as V(0x) or V(naa.).
        type: str
      purpose:
        description:
          - V(docker-data) is the engine's data root. The engine does not start without it, and what lies in
            O(data_root) is moved with the engine stopped, compared byte for byte, and kept beside it.
          - V(app-volume) is a file system that is mounted for an app.
          - V(raw) is handed to a container as it is, where it is blank. From then on it is never looked at
            again, and never written. That it was handed over is known by the O(devices[].uuid) that the CMDB
            records, or by the host's journal.
          - V(spare) is never touched, nor opened.
        type: str
        required: true
        choices: [docker-data, app-volume, raw, spare]
      filesystem:
        description: The file system of a new device; V(xfs) when nothing is said.
        type: str
        choices: [xfs, ext4]
      mount:
        description: Where an V(app-volume) is mounted; not within another mount point or O(data_root).
        type: path
      uuid:
        description:
          - The UUID of the file system that the CMDB calls ours.
          - Of a V(raw) device, the UUID under which this very disk was handed over. It comes from the disk's
            serial and WWN, or from its path and size where it has neither.
        type: str
      app:
        description: The app that the device is for. For people.
        type: str
      owner:
        description: Owner of the root of the volume, as a name or a number; left alone when nothing is said.
        type: str
      group:
        description: Group of the root of the volume, likewise.
        type: str
      mode:
        description: Permissions of the root of the volume, in octal.
        type: str
      wipe:
        description:
          - Destroy what the device holds, and format it or, when it is V(raw), hand it over. Takes effect
            only together with the matching O(devices[].serial), never on a device in use, and never on one
            that is ours, or handed over, already.
        type: bool
        default: false
  data_root:
    description: Where the engine keeps its data.
    type: path
    default: /var/lib/docker
  record:
    description:
      - Record UUIDs in the CMDB. Without it, the host's journal alone knows which file systems are ours.
    type: bool
    default: true
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: The disks of a host as the CMDB declares them
  dianrong.cloud.raw_device:
    devices: "{{ dr_block_devices }}"

- name: Two disks, without the CMDB
  dianrong.cloud.raw_device:
    devices:
      - {serial: S3Z8NB0K, purpose: docker-data, filesystem: xfs}
      - {wwn: '0x5000c500a1b2c3d4', purpose: app-volume, mount: /srv/orders, owner: '10001', mode: '0750'}
    record: false
"""

RETURN = r"""
devices:
  description: The devices in the order of the task, with what was found and made.
  returned: success
  type: list
  elements: dict
  contains:
    key:
      description: What the CMDB names the device by within its host.
      type: str
    node:
      description: The device node by which it is found again after a boot; what a container is given.
      type: str
    purpose:
      description: The declared purpose.
      type: str
    size:
      description: Size in bytes.
      type: int
    filesystem:
      description: The file system, null where there is none of ours.
      type: str
    uuid:
      description: The UUID that the CMDB records of it; in check mode also that of a file system to be made.
      type: str
    mount:
      description: Where it is mounted.
      type: str
    steps:
      description: What was done, or in check mode would be.
      type: list
      elements: str
  sample:
    - key: /dev/disk/by-id/nvme-eui.002538b531b08e56
      node: /dev/disk/by-id/nvme-eui.002538b531b08e56
      purpose: docker-data
      size: 480103981056
      filesystem: xfs
      uuid: 4b1c5b9e-4a59-5c0f-8a62-6f4f3c1f8d20
      mount: /var/lib/docker
      steps: []
"""

import contextlib
import dataclasses
import grp
import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disks,
    _storage_journal,
    _storage_look,
    _storage_plan,
    _storage_steps,
)

DEVICE = {
    "path": {"type": "path"},
    "serial": {"type": "str"},
    "wwn": {"type": "str"},
    "purpose": {
        "type": "str",
        "required": True,
        "choices": ["docker-data", "app-volume", "raw", "spare"],
    },
    "filesystem": {"type": "str", "choices": ["xfs", "ext4"]},
    "mount": {"type": "path"},
    "uuid": {"type": "str"},
    "app": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "str"},
    "wipe": {"type": "bool", "default": False},
}
ERRORS = (
    _disks.DiskError,
    _storage_journal.JournalError,
    _storage_plan.RefusalError,
    _storage_steps.StorageError,
)


def wanted(option, data_root):
    """Return the device that one element of ``devices`` declares."""
    fields = {field.name for field in dataclasses.fields(_storage_plan.Declared)}
    declared = _storage_plan.Declared(**{name: option[name] for name in fields})
    if not declared.key:
        raise _storage_plan.RefusalError("a block device needs a serial, a wwn or a path")
    if declared.purpose == "docker-data":
        declared = dataclasses.replace(declared, mount=data_root)
    elif declared.mount:
        declared = dataclasses.replace(declared, mount=plain(declared.mount, f"{declared.label}: mount"))
    if declared.purpose == "app-volume" and not declared.mount:
        raise _storage_plan.RefusalError(
            f"{declared.label}: an app-volume needs a mount point; declare mount for it in the CMDB"
        )
    return dataclasses.replace(
        declared,
        owner=known_name(declared, "owner", pwd.getpwnam, pwd.getpwuid),
        group=known_name(declared, "group", grp.getgrnam, grp.getgrgid),
        mode=octal(declared),
    )


def plain(path, named):
    """Return a path as the kernel shows it among its mounts; ``named`` tells in an error what it is for."""
    if not path.startswith("/"):
        raise _storage_plan.RefusalError(f"{named} {path} is not an absolute path")
    # POSIX leaves two slashes at the start alone; Linux means the same by them.
    return os.path.normpath("/" + path.lstrip("/"))


def known_name(declared, field, by_name, by_number):
    """Return an account as the system shows it: by its name where it has one."""
    value = getattr(declared, field)
    if value is None:
        return None
    try:
        return by_number(int(value))[0] if value.isdigit() else by_name(value)[0]
    except KeyError as error:
        if value.isdigit():
            return value
        raise _storage_plan.RefusalError(f"{declared.label}: this host knows no {field} {value}") from error


def octal(declared):
    """Return permissions as four octal digits."""
    if declared.mode is None:
        return None
    try:
        return f"{int(declared.mode, 8):04o}"
    except ValueError as error:
        raise _storage_plan.RefusalError(f"{declared.label}: mode {declared.mode!r} is not octal") from error


def plan_all(module):
    """Read and plan all devices; one that is refused keeps all others from being touched."""
    data_root = plain(module.params["data_root"], "data_root")
    declared = [wanted(option, data_root) for option in module.params["devices"]]
    refuse_shared(declared, data_root)
    disks = _storage_look.find(declared)
    records, host = _storage_journal.read(), _storage_look.host_identity()
    plans, refused = [], []
    for one, disk in zip(declared, disks):
        try:
            seen = _storage_look.look(one, disk, _storage_journal.of(records, one.names))
            plans.append((_storage_plan.plan(one, seen, host), disk))
        except _storage_plan.RefusalError as error:
            refused.append(str(error))
        except OSError as error:
            refused.append(f"{one.label}: cannot be read: {error}")
    if refused:
        raise _storage_plan.RefusalError("; ".join(refused))
    return plans


def refuse_shared(declared, data_root):
    """Refuse two devices for one mount point, and a mount point within another, which could hide it."""
    points = [one.mount for one in declared if one.purpose in _storage_plan.FORMATTED]
    for point in points:
        if points.count(point) > 1:
            raise _storage_plan.RefusalError(f"{points.count(point)} block devices are declared for {point}")
    for point in points:
        around = next((one for one in (*points, data_root) if point.startswith(one.rstrip("/") + "/")), None)
        if around is not None:
            raise _storage_plan.RefusalError(
                f"the mount point {point} lies within {around}, where another block device or the engine has "
                "its data; declare one beside it"
            )


def refuse_without_tools(module, plans):
    """Refuse before anything changes when a program is missing; in check mode its package may still come."""
    for plan, _disk in plans:
        if "format" in plan.steps and not module.check_mode:
            module.get_bin_path(f"mkfs.{plan.filesystem}", required=True, opt_dirs=["/usr/sbin", "/sbin"])


def ensure(module):
    """Read, plan, apply; return the task's result."""
    lock = contextlib.nullcontext() if module.check_mode else _storage_journal.alone()
    with lock:
        plans = plan_all(module)
        refuse_without_tools(module, plans)
        if not module.check_mode:
            for plan, disk in plans:
                _storage_steps.carry_out(plan, disk)
    return {
        "changed": any(plan.changed for plan, _disk in plans),
        "devices": [told(plan) for plan, _disk in plans],
        "diff": [part for plan, _disk in plans for part in differences(plan)],
    }


def told(plan):
    """Return a device as the result shows it."""
    return {
        "key": plan.declared.key,
        "node": plan.seen.node,
        "purpose": plan.declared.purpose,
        "size": plan.seen.size,
        "filesystem": plan.filesystem,
        "uuid": plan.uuid,
        "mount": plan.declared.mount if plan.filesystem else None,
        "steps": list(plan.steps),
    }


def differences(plan):
    """Return Ansible's diff of one plan: the device, and the files that mount it."""
    sides = [(plan.seen.node, plan.before, plan.after)] if plan.before != plan.after else []
    return [
        {"before_header": name, "after_header": name, "before": before, "after": after}
        for name, before, after in [*sides, *plan.files]
    ]


def main():
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "list", "elements": "dict", "required": True, "options": DEVICE},
            "data_root": {"type": "path", "default": "/var/lib/docker"},
            "record": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    os.environ["PATH"] = _storage_steps.PATH
    try:
        module.exit_json(**ensure(module))
    except ERRORS as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
