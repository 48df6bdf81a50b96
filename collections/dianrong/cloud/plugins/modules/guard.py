#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guard
short_description: Confirm or undo a change that could have cut the host off
version_added: 0.1.0
description:
  - Modules that change how a host is reached arm a guard first. The host undoes the change by itself after
    some seconds, or at its next boot, unless the controller confirms it over a fresh connection.
  - Those modules' own actions confirm; this module is what they call, and what an operator calls to see
    what is open on a host or to undo it at once.
options:
  name:
    description:
      - The kind of change, for instance V(network) or V(firewall).
    type: str
    required: true
  token:
    description:
      - The change that is confirmed, as the module that made it was told.
    type: str
  state:
    description:
      - V(confirmed) keeps the change O(token).
      - V(settled) waits until an open change is confirmed by another run or undone.
      - V(reverted) undoes an open change at once.
      - V(shown) only tells.
    type: str
    choices: [confirmed, settled, reverted, shown]
    default: shown
extends_documentation_fragment:
  - dianrong.cloud._attributes
attributes:
  diff_mode:
    support: none
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Whatever is open on the host's network is settled
  dianrong.cloud.guard:
    name: network
    state: settled
"""

RETURN = r"""
outcome:
  description:
    - V(confirmed), V(reverted), V(open), or V(unknown) where the host knows no such change.
  returned: success
  type: str
  sample: confirmed
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils._guard import Guard, GuardError


def bring(guard, state, token):
    """Bring the guard to a state; return whether something changed, and the outcome."""
    pending = guard.pending()
    if state == "confirmed":
        return pending == token, guard.confirm(token)
    if state == "settled":
        return pending is not None, guard.settle() or "unknown"
    if state == "reverted" and pending:
        guard.fire(pending)
        return True, "reverted"
    return False, "open" if pending else guard.settle() or "unknown"


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "token": {"type": "str", "no_log": False},
            "state": {
                "type": "str",
                "choices": ["confirmed", "settled", "reverted", "shown"],
                "default": "shown",
            },
        },
        required_if=[("state", "confirmed", ["token"])],
        supports_check_mode=True,
    )
    given = module.params
    guard = Guard(given["name"])
    try:
        state = "shown" if module.check_mode else given["state"]
        changed, outcome = bring(guard, state, given["token"])
    except GuardError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, outcome=outcome)


if __name__ == "__main__":
    main()
