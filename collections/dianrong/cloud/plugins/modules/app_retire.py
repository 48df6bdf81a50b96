#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_retire
short_description: Take an app off a host
version_added: 0.1.0
description:
  - Drains what runs of the app at every load balancer, waits for its last request, and removes it. Works
    inside a roll, under its lock, in place of M(dianrong.cloud.app_switch).
  - Refuses where too few hosts would stay in service. Trouble comes back as data in RV(step).
options:
  rollout:
    description:
      - The roll, as RV(dianrong.cloud.rollout#module:rollout) of
        O(dianrong.cloud.rollout#module:state=begun) returned it.
    type: dict
    required: true
  drain_timeout:
    description: How long to wait for the last request, in seconds.
    type: float
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: none
  idempotent:
    description: Changes nothing when run again on the same state.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Nothing of the app shall run here any more
  dianrong.cloud.app_retire:
    rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
  become: true
"""

RETURN = r"""
step:
  description: How it ended. V(done), V(failed) or V(unreachable).
  returned: always
  type: str
reason:
  description: Why, in one sentence.
  returned: when there was something to do
  type: str
"""
