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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _units


def main():
    module = AnsibleModule(argument_spec=_units.OPTIONS, supports_check_mode=True)
    module.exit_json(**_units.ensure(module, module.params))


if __name__ == "__main__":
    main()
