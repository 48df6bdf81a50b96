#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_wipe
short_description: Overwrite disks of a host that goes, each confirmed by its serial
version_added: 0.1.0
description:
  - Overwrites disks with zeroes from one end to the other, which the kernel has the device do where it can.
    Nothing can be read from them afterwards by ordinary means. What a solid state disk keeps where nobody can
    address it, only its own secure erase or its destruction takes away.
  - Only disks that O(devices) declare, and that O(confirmed) names one by one, are touched. One that is
    declared V(spare), has partitions, is mounted elsewhere than declared, or that anybody uses is refused,
    and then no other is touched either.
  - The mount units of C(raw_device) go. Where the engine's data is on one of the disks, no container may
    run, and the engine is stopped and disabled.
  - Takes as long as the disks take to write, hours for big ones.
options:
  devices:
    description: The disks that the host has, in the form of the host variable C(dr_block_devices).
    type: list
    elements: dict
    required: true
  confirmed:
    description: The serials of those that are to be wiped; of one without a serial its WWN, else its path.
    type: list
    elements: str
    required: true
  only_names:
    description: Whether only the names are looked at and not who uses the disks, for a look beforehand.
    type: bool
    default: false
  data_root:
    description: Where the disk of the purpose V(docker-data) is mounted.
    type: path
    default: /var/lib/docker
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when run again on the same state.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.raw_device
  - module: dianrong.cloud.host_retire
"""

EXAMPLES = r"""
- name: Nothing of ours stays on it
  dianrong.cloud.disk_wipe:
    devices: "{{ dr_block_devices }}"
    confirmed: [S3Z8NB0K]
  become: true
"""

RETURN = r"""
wiped:
  description: The disks that were overwritten, or would be.
  returned: success
  type: list
  elements: str
  sample: [S3Z8NB0K]
"""

import contextlib
import dataclasses
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_wipe,
    _disks,
    _storage_journal,
    _storage_look,
    _storage_plan,
    _storage_steps,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError

ERRORS = (
    _disk_wipe.WipeError,
    _disks.DiskError,
    _storage_journal.JournalError,
    _storage_steps.StorageError,
    OSError,
)


def wanted(option, data_root):
    """Return the device that one element of ``devices`` declares."""
    fields = {field.name for field in dataclasses.fields(_storage_plan.Declared)}
    declared = _storage_plan.Declared(**{name: value for name, value in option.items() if name in fields})
    return dataclasses.replace(declared, mount=data_root) if declared.purpose == "docker-data" else declared


def running(socket):
    """Return the names of the containers that run; none where no engine answers."""
    try:
        return sorted(one["Name"].lstrip("/") for one in Engine(socket).running())
    except EngineError:
        return []


def plan(module):
    """Return the disks that are to be wiped and are not blank yet; raises before anything is touched."""
    declared = [wanted(option, module.params["data_root"]) for option in module.params["devices"]]
    chosen = _disk_wipe.choose(declared, module.params["confirmed"])
    wipes = [_disk_wipe.Wipe(one, disk) for one, disk in zip(chosen, _storage_look.find(chosen))]
    if not module.params["only_names"]:
        names = running(module.params["socket"])
        for wipe in wipes:
            wipe.refuse_others(names)
    return [wipe for wipe in wipes if wipe.is_mounted() or not wipe.is_blank()]


def main():
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "list", "elements": "dict", "required": True},
            "confirmed": {"type": "list", "elements": "str", "required": True},
            "only_names": {"type": "bool", "default": False},
            "data_root": {"type": "path", "default": "/var/lib/docker"},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    os.environ["PATH"] = _storage_steps.PATH
    try:
        with contextlib.nullcontext() if module.check_mode else _storage_journal.alone():
            wipes = plan(module)
            if not module.check_mode:
                _disk_wipe.carry_out(wipes)
    except ERRORS as error:
        module.fail_json(msg=str(error))
    names = [wipe.declared.key for wipe in wipes]
    after = "".join(f"overwrite {name}\n" for name in names)
    module.exit_json(changed=bool(wipes), wiped=names, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
