#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_retire
short_description: Remove all instances from a host and retire it in the CMDB
version_added: 0.1.0
description:
  - Removes all containers of ours from the task's host, running or not, with their secrets. Containers of
    others, images and disks stay as they are.
  - Then takes the host out of all placements, frees its ports and addresses in the CMDB, and moves its
    state to C(retired). All of that is one transaction.
  - Refuses where a placement would have fewer hosts than must stay in service. Take it out of service at
    the load balancers first, with M(dianrong.cloud.host_service).
  - Holds the lock C(app:<app>@<env>) of each app that has something there while it is removed.
options:
  reason:
    description: Why; kept in the log of changes.
    type: str
    required: true
  ticket:
    description: The change ticket.
    type: str
  state:
    description:
      - V(emptied) removes the containers, and leaves the CMDB as it is.
      - V(freed) does what is to be done in the CMDB, and asks the host nothing.
      - V(retired) does both.
    type: str
    choices: [emptied, freed, retired]
    default: retired
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when run again on the same state.
    details: A retired host is not in the inventory any more.
    support: none
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.host_service
"""

EXAMPLES = r"""
- name: It goes back to its owner
  dianrong.cloud.host_retire:
    reason: end of its lease
    ticket: CHG-1042
  become: true
"""

RETURN = r"""
removed:
  description: What was there, as app, environment and slot.
  returned: success
  type: list
  elements: str
  sample: [demo@prod a]
"""
