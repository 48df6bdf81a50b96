#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instances_info
short_description: Tell which instances of apps are on a Docker host, and whether they work
version_added: 0.1.0
description:
  - Tells all containers that carry the labels of drCloud, running and stopped, of every app, in one pass.
  - C(image_digest) of an instance is of the image itself. It differs from the label where somebody made a
    container by hand.
  - C(differs) names the kinds of settings, as C(env) or C(mounts), in which an instance is not what a roll
    made here; C(record) where no roll made it. No value leaves the host. What is older than the first
    record of its host differs in nothing that could be told.
  - Asks those for their health that O(probes) tell about. Starts nothing and changes nothing.
options:
  probes:
    description:
      - How to ask apps whether they work. M(dianrong.cloud.cmdb_instances) fills this in from the CMDB.
    type: list
    elements: dict
    default: []
    suboptions:
      app:
        description: The app.
        type: str
        required: true
      env:
        description: The environment.
        type: str
        required: true
      address:
        description: The address of this host that the app's ports are published on.
        type: str
        required: true
      slots:
        description: The host port of each slot.
        type: dict
        required: true
      kind:
        description: How to ask, as the specification of the app says it.
        type: str
        choices: [http, tcp, exec]
        default: http
      path:
        description: The path that answers 2xx when the instance works, for O(probes[].kind=http).
        type: str
        default: /healthz
      command:
        description: The command that ends with 0 when it works, in its container, for O(probes[].kind=exec).
        type: list
        elements: str
        default: []
      timeout:
        description: How long the answer may take, in seconds.
        type: float
        default: 2
  socket:
    description: The Unix socket of the engine.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
notes:
  - Needs root, or a user who may use the engine's socket, and Python's standard library only.
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.cmdb_instances
"""

EXAMPLES = r"""
- name: See what runs here
  dianrong.cloud.instances_info:
  become: true
  register: here
"""

RETURN = r"""
instances:
  description: The instances, by name.
  returned: success
  type: list
  elements: dict
  sample:
    - name: demo_prod_a_5d41402a
      app: demo
      env: prod
      slot: a
      tag: rt68
      digest: "sha256:0b4e..."
      image_digest: "sha256:0b4e..."
      revision: 5d41402a...
      status: running
      health: healthy
      differs: []
strangers:
  description:
    - The names of containers that run here and are no instances of drCloud, nor their hooks.
    - One that an app took over and that was not rolled yet is among them.
  returned: success
  type: list
  elements: str
  sample: [postgres]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _seen
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError


def argument_spec():
    """Return the options of this module."""
    probe = {
        "app": {"type": "str", "required": True},
        "env": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "slots": {"type": "dict", "required": True},
        "kind": {"type": "str", "choices": ["http", "tcp", "exec"], "default": "http"},
        "path": {"type": "str", "default": "/healthz"},
        "command": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "float", "default": 2},
    }
    return {
        "probes": {"type": "list", "elements": "dict", "default": [], "options": probe},
        "socket": {"type": "path", "default": "/var/run/docker.sock"},
    }


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        engine = _seen.ImageEngine(module.params["socket"])
        instances = _seen.look(engine, module.params["probes"])
        strangers = _seen.strangers(engine)
    except (EngineError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, instances=instances, strangers=strangers)


if __name__ == "__main__":
    main()
