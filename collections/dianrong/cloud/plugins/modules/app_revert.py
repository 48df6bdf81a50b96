#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_revert
short_description: Put a host back on what it ran before a roll that failed
version_added: 0.1.0
description:
  - The switch of M(dianrong.cloud.app_switch) in the other direction, in the same step of the ledger. The
    instance of the revision of before is started next to the present one, and the traffic moves when it is
    healthy.
  - Trouble comes back as data in RV(step).
options:
  rollouts:
    description:
      - What each host goes back to, as RV(dianrong.cloud.rollout#module:back) of
        O(dianrong.cloud.rollout#module:state=settled) returned it.
    type: dict
    required: true
  drain_timeout:
    description: How long to wait for the last request of the present instance, in seconds.
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
- name: Switch to the revision of before
  dianrong.cloud.app_revert:
    rollouts: "{{ hostvars['localhost'].dr_settled.back }}"
  become: true
"""

RETURN = r"""
step:
  description: How it ended. V(reverted), V(failed) or V(unreachable).
  returned: always
  type: str
reason:
  description: Why, in one sentence.
  returned: always
  type: str
slot:
  description: The slot that serves now.
  returned: when known
  type: str
"""
