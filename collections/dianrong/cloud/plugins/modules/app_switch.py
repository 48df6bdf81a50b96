#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_switch
short_description: Switch a host to the revision of a roll
version_added: 0.1.0
description:
  - Claims the host's step in the ledger, starts the new instance in the free slot, and waits until it is
    healthy on the host and at every load balancer.
  - Then asks every load balancer whether enough hosts stay in service, drains the old instance everywhere,
    waits for its last request, and stops it.
  - Whatever goes wrong before that, the new instance is removed and the old one serves on.
  - Trouble, an unreachable host too, comes back as data in RV(step), so that a play goes on to the one that
    decides. After the first host that failed, the others are skipped.
options:
  rollout:
    description:
      - The roll, as RV(dianrong.cloud.rollout#module:rollout) of
        O(dianrong.cloud.rollout#module:state=begun) returned it.
    type: dict
    required: true
  plan:
    description: What M(dianrong.cloud.rollout) with O(dianrong.cloud.rollout#module:state=planned) returned.
    type: dict
    required: true
  drain_timeout:
    description: How long to wait for the last request of the old instance, in seconds.
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
    support: partial
    details: A step of a roll is done once. The next roll to the same revision has no step for this host.
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
- name: Switch to the new revision
  dianrong.cloud.app_switch:
    rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
    plan: "{{ hostvars['localhost'].dr_plan }}"
  become: true
"""

RETURN = r"""
step:
  description:
    - How the step ended. V(done), V(reverted) with the old instance in service, V(failed), V(unreachable)
      or V(skipped).
  returned: always
  type: str
  sample: done
reason:
  description: Why, in one sentence.
  returned: always
  type: str
slot:
  description: The slot that serves now.
  returned: when known
  type: str
logs:
  description: The last lines of a new instance that did not become healthy.
  returned: when it did not
  type: list
  elements: str
times:
  description: How long the parts took, in seconds.
  returned: when there was something to do
  type: dict
"""
