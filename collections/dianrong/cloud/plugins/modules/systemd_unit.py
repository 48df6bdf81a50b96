#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_unit
short_description: Have a systemd unit enabled and running, on what it should have read
version_added: 0.1.0
description:
  - Starts and enables a unit, and restarts or reloads it once when the task says that something it reads
    has changed.
  - Does in one task what a start task and two handlers would do, so a unit is never started and restarted
    in the same run.
  - In check mode a unit that does not exist yet is predicted to start, for its package is going to be
    installed.
options:
  name:
    description:
      - The unit, with its suffix.
    type: str
    required: true
  restart:
    description:
      - Something has changed that the unit takes over only when it restarts.
    type: bool
    default: false
  reads:
    description:
      - Files that the unit takes over only when it restarts. One that is newer than the unit's last start
        restarts it, so a run that was interrupted after it wrote them is picked up by the next.
    type: list
    elements: path
    default: []
  reload:
    description:
      - Something has changed for which a reload is enough.
    type: bool
    default: false
  reloads:
    description:
      - Files that the unit takes over when it is reloaded. One that is newer than the unit's last start and
        than the last reload that this module saw succeed reloads it, so a run that was interrupted after it
        wrote them, and a reload that failed, are picked up by the next.
    type: list
    elements: path
    default: []
  when_stale:
    description:
      - What a unit needs whose own file changed on disk. V(reload) is for units that a restart would
        interrupt, when the files only say how to start, stop and reload them.
    type: str
    choices: [restart, reload]
    default: restart
  listens_on:
    description:
      - After a start or a restart, wait until the unit takes connections at this TCP port, and fail when it
        does not.
    type: int
  listens_at:
    description:
      - The address for O(listens_on).
    type: str
    default: 127.0.0.1
  patience:
    description:
      - How many seconds to wait for O(listens_on).
    type: int
    default: 20
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: The registry runs on its configuration
  dianrong.cloud.systemd_unit:
    name: docker-registry.service
    restart: "{{ registry_files is changed }}"
    reads: [/etc/drcloud/registry/config.yml]
    listens_on: 5000
"""

RETURN = r"""
action:
  description: What the unit needed. One of V(none), V(start), V(reload), V(restart).
  returned: success
  type: str
  sample: start
"""

import socket
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _units


def await_connection(module):
    """Wait until something takes connections; fail with the unit's last words."""
    given = module.params
    deadline = time.monotonic() + given["patience"]
    while True:
        try:
            socket.create_connection((given["listens_at"], given["listens_on"]), timeout=2).close()
        except OSError as error:
            if time.monotonic() > deadline:
                said = _units.last_words(module, given["name"])
                place = f"{given['listens_at']} port {given['listens_on']}"
                module.fail_json(
                    msg=f"unit {given['name']}: {place} takes no connection ({error}); its last words: {said}"
                )
        else:
            return
        time.sleep(0.2)


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    unit = _units.read(module, given["name"])
    if not unit.present and not module.check_mode:
        module.fail_json(
            msg=f"unit {unit.name}: there is no such unit on this host; install its package first"
        )
    # A unit whose file changed on disk runs on the old one until it restarts.
    restart = given["restart"] or (unit.stale and given["when_stale"] == "restart")
    restart = restart or any(_units.outdated(unit, path) for path in given["reads"])
    reload = given["reload"] or unit.stale or any(_units.unread(unit, path) for path in given["reloads"])
    steps = _units.decide(unit, restart=restart, reload=reload)
    if not module.check_mode:
        _units.apply(module, unit, steps)
        if given["listens_on"] and steps.action in ("start", "restart"):
            await_connection(module)
    before = {"active": unit.active, "enabled": unit.enabled}
    after = {"active": True, "enabled": True, "action": steps.action}
    diff = {"before": before, "after": after} if steps.changed else {}
    return {"changed": steps.changed, "action": steps.action, "diff": diff}


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "restart": {"type": "bool", "default": False},
            "reads": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "bool", "default": False},
            "reloads": {"type": "list", "elements": "path", "default": []},
            "when_stale": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
            "listens_on": {"type": "int"},
            "listens_at": {"type": "str", "default": "127.0.0.1"},
            "patience": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    module.exit_json(**ensure(module))


if __name__ == "__main__":
    main()
