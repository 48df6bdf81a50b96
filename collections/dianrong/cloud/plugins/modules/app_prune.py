#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_prune
short_description: Remove stopped instances and images that nobody goes back to
version_added: 0.1.0
description:
  - Removes from a Docker host the stopped containers of drCloud, and the images of its apps, that the
    ledger does not name as something to go back to.
  - "Kept are, per app and environment: what runs; the last O(retain) revisions that were stable; the
    newest deployment and any that still runs; and what this host ran before it was touched last."
  - A container without the labels of drCloud is never touched, nor is one of an app that the ledger does
    not know, an image that any container uses, one of other repositories, or one that somebody gave a tag.
  - Holds the lock C(host:NAME) alone while it looks at the ledger and acts, so no roll is on this host
    meanwhile; a roll in hand makes it fail and say who holds the lock. Its fencing token goes with it, so
    that a module which is left over cannot act into a later roll.
  - Where the ledger names nothing at all, nothing is removed and the module fails.
options:
  retain:
    description: How many stable revisions are kept of each app in each environment, with their images.
    type: int
    default: 2
  socket:
    description: The Unix socket of the engine.
    type: path
    default: /var/run/docker.sock
  keep:
    description: What is kept. The controller fills this in from the CMDB.
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
      revisions:
        description: Its revisions that stay.
        type: list
        elements: str
        required: true
  digests:
    description: The digests of images that stay. The controller fills this in from the CMDB.
    type: list
    elements: str
    default: []
  repositories:
    description: The repositories of our apps, registry included. The controller fills this in from the CMDB.
    type: list
    elements: str
    default: []
  token:
    description: The fencing token of the lock. The controller fills this in.
    type: int
    default: 0
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.registry_gc
"""

EXAMPLES = r"""
- name: Keep the last three stable revisions and nothing older
  dianrong.cloud.app_prune:
    retain: 3
  become: true
"""

RETURN = r"""
containers:
  description: The containers that were, or in check mode would be, removed.
  returned: success
  type: list
  elements: str
  sample: [demo_prod_b_5d41402a]
images:
  description: The images that were, or in check mode would be, removed.
  returned: success
  type: list
  elements: str
  sample: ["registry:5000/dianrong/demo@sha256:0b4e..."]
bytes:
  description: How much the removed images held. Layers that others share stay, so less may become free.
  returned: success
  type: int
  sample: 80312345
instances:
  description: All instances of drCloud on this host, as they are then.
  returned: success
  type: list
  elements: dict
  sample: [{name: demo_prod_a_7d793037, status: running}]
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _fence, _prune, _record, _seen
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError


class Host:
    """The host's containers and images."""

    def __init__(self, module):
        self._module = module
        given = module.params
        self._engine = _seen.ImageEngine(given["socket"])
        self._token = given["token"]
        self._rules = _prune.Rules(
            revisions={(one["app"], one["env"]): frozenset(one["revisions"]) for one in given["keep"]},
            digests=frozenset(given["digests"]),
            repositories=frozenset(given["repositories"]),
        )

    def run(self):
        """Look, plan, and remove unless in check mode; return the result."""
        with self._fences():
            instances = _seen.look(self._engine, [])
            made = _prune.plan(instances, self._engine.all_containers(), self._engine.images(), self._rules)
            if not self._module.check_mode:
                self._remove(made)
        left = [entry for entry in instances if entry not in made.instances]
        return {
            "changed": bool(made.lines()),
            "containers": [entry["name"] for entry in made.instances],
            "images": list(made.images),
            "bytes": made.bytes,
            "instances": left,
            "diff": {"before": "".join(f"{line}\n" for line in made.lines()), "after": ""},
        }

    def _remove(self, made):
        for entry in made.instances:
            self._engine.remove_stopped(entry["id"])
            _record.remove(entry["name"])
        for name in made.images:
            self._engine.remove_image(name)

    @contextlib.contextmanager
    def _fences(self):
        """Hold the fences of all apps in question, in sorted order."""
        with contextlib.ExitStack() as stack:
            for app, env in sorted(self._rules.revisions):
                stack.enter_context(_fence.held(f"{app}@{env}", self._token, dry=self._module.check_mode))
            yield


def argument_spec():
    """Return the options of this module."""
    kept = {
        "app": {"type": "str", "required": True},
        "env": {"type": "str", "required": True},
        "revisions": {"type": "list", "elements": "str", "required": True},
    }
    return {
        "retain": {"type": "int", "default": 2},
        "keep": {"type": "list", "elements": "dict", "default": [], "options": kept},
        "digests": {"type": "list", "elements": "str", "default": []},
        "repositories": {"type": "list", "elements": "str", "default": []},
        "token": {"type": "int", "default": 0, "no_log": False},
        "socket": {"type": "path", "default": "/var/run/docker.sock"},
    }


def main():
    """Remove what nobody goes back to."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    if not module.params["keep"]:
        module.fail_json(msg="nothing is named that would be kept, so nothing is removed")
    try:
        result = Host(module).run()
    except (EngineError, _fence.FencedError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
