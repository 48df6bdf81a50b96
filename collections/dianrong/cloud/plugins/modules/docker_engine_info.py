#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_engine_info
short_description: Tell what an engine is and carries, and whether that is what it was
version_added: 0.1.0
description:
  - Returns the version of the engine and of its package, the containers that run, and the networks.
  - With O(before), fails where a container does not run any more, was restarted although the engine keeps
    containers running over its own restart (live-restore), or where a network is gone. So an upgrade can
    be told from damage.
options:
  package:
    description: The Debian package that the engine is.
    type: str
    default: docker.io
  before:
    description: What RV(engine) was before.
    type: dict
  wait:
    description: How many seconds containers may take to come back, and the engine to answer.
    type: float
    default: 30
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: See what the engine carries
  dianrong.cloud.docker_engine_info:
  become: true
  register: before

- name: Upgrade it
  ansible.builtin.include_role:
    name: dianrong.cloud.docker_engine
    apply: {become: true}
  vars:
    docker_engine_version: "{{ engine_version }}"

- name: Nothing was lost
  dianrong.cloud.docker_engine_info:
    before: "{{ before.engine }}"
  become: true
"""

RETURN = r"""
engine:
  description: What must be the same after an upgrade, but the versions.
  returned: success
  type: dict
  contains:
    version:
      description: What the engine that runs calls itself.
      type: str
      sample: 20.10.24+dfsg1
    package:
      description: The version of the installed package.
      type: str
      sample: 20.10.24+dfsg1-1+b3
    live_restore:
      description: Whether containers go on while the engine does not.
      type: bool
    containers:
      description: Those that run, by their ids, with their names and when they started.
      type: dict
    networks:
      description: The names of the networks by their ids.
      type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _engine_survey
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError

LOOK = 0.5


def package_version(module):
    """Return the version of the installed package; nothing where it is not installed."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", module.params["package"]]
    code, out, _err = module.run_command(command)
    return out.strip() if code == 0 else ""


def look(module):
    """Return what the engine is and carries; EngineError where it does not answer."""
    engine = Engine(module.params["socket"])
    found = _engine_survey.survey(engine.info(), engine.running(), engine.network_list())
    return dict(found, package=package_version(module))


def trouble(module):
    """Return what the engine is and carries, and what is wrong with that."""
    try:
        found = look(module)
    except EngineError as error:
        return {}, [str(error)]
    before = module.params["before"]
    return found, _engine_survey.damage(before, found) if before else []


def main():
    """Look until all is well, or the time is up."""
    module = AnsibleModule(
        argument_spec={
            "package": {"type": "str", "default": "docker.io"},
            "before": {"type": "dict"},
            "wait": {"type": "float", "default": 30},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    end = time.monotonic() + module.params["wait"]
    found, lines = trouble(module)
    while lines and time.monotonic() < end:
        time.sleep(LOOK)
        found, lines = trouble(module)
    if lines:
        module.fail_json(msg="; ".join(lines), engine=found)
    module.exit_json(changed=False, engine=found)


if __name__ == "__main__":
    main()
