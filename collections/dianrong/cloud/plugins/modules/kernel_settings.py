#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_settings
short_description: Keep settings of the kernel, in one file and in the running kernel
version_added: 0.1.0
description:
  - Writes the settings to one file of C(sysctl.d), sets in the running kernel those that differ, and reads
    each of them back.
  - A setting that was changed by hand since the host booted is seen and set again, also when the file is as
    it should be.
  - A setting that the kernel does not know is an error before anything changes, unless it is declared to be
    tolerated.
options:
  settings:
    description:
      - The settings, name to value. A minus in front of a name tolerates a kernel that does not know it, as
        in C(sysctl.d(5\)); such names are returned.
    type: dict
    required: true
  path:
    description:
      - The file. Its name decides what wins at boot; the default sorts after the distribution's.
    type: path
    default: /etc/sysctl.d/99-zz-drcloud.conf
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Connections wait in a queue in place of being refused
  dianrong.cloud.kernel_settings:
    settings:
      net.core.somaxconn: 4096
      # Only there when the module is loaded.
      -net.netfilter.nf_conntrack_max: 262144
"""

RETURN = r"""
set:
  description: What was, or in check mode would be, set in the running kernel.
  returned: success
  type: dict
  sample: {net.core.somaxconn: '4096'}
unknown:
  description: Tolerated names that this kernel does not know. They take effect when it learns them.
  returned: success
  type: list
  elements: str
  sample: [net.netfilter.nf_conntrack_max]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _files, _kernel_settings


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params["settings"]
    found = {name: _kernel_settings.read(name) for name in _kernel_settings.split(given)[0]}
    plan = _kernel_settings.plan(given, found)
    file = _files.Wanted(module.params["path"], _kernel_settings.render(given).encode())
    changes = _files.plan([file], {file.path: _files.read(file.path)})
    if not module.check_mode:
        # The kernel first: a value that it refuses must not wait in the file for the next boot.
        for name, value in plan.changes.items():
            _kernel_settings.write(name, value)
        _files.apply(changes)
    diff = _files.diff(changes)
    if plan.changes:
        diff.append({"before": {name: found[name] for name in plan.changes}, "after": plan.changes})
    return {
        "changed": bool(changes or plan.changes),
        "set": plan.changes,
        "unknown": list(plan.unknown),
        "diff": diff,
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/sysctl.d/99-zz-drcloud.conf"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except (_kernel_settings.SettingError, _files.FileError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
