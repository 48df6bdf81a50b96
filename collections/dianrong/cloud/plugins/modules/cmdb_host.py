#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_host
short_description: Move hosts to a state in the CMDB
version_added: 0.1.0
description:
  - Changes the declared state of any number of hosts in one transaction, with who and why in the change log.
  - A move that a host's present state does not allow is refused, and then none of the hosts moves.
options:
  names:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  state:
    description:
      - The state to move to.
    type: str
    required: true
    choices: [planned, provisioning, active, maintenance, quarantined, retired]
  only_from:
    description:
      - Move only hosts that are in one of these states and leave the others as they are.
    type: list
    elements: str
  reason:
    description:
      - Why, for the change log.
    type: str
    required: true
  ticket:
    description:
      - The change ticket, for the change log.
    type: str
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: New hosts are in service
  dianrong.cloud.cmdb_host:
    names: "{{ ansible_play_hosts }}"
    only_from: [provisioning]
    state: active
    reason: provisioned
  run_once: true
"""

RETURN = r"""
moved:
  description: Hosts that moved, or in check mode would.
  returned: success
  type: list
  elements: str
  sample: [dk-01, dk-02]
"""
