#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_verify
short_description: Look once more at a host that was switched
version_added: 0.1.0
description:
  - For the end of a roll. Asks the host whether the instance that M(dianrong.cloud.app_switch) started still
    runs, did not end by itself in the meantime, and is healthy; what is seen goes to the CMDB.
  - Trouble makes the host's step fail in the ledger and comes back as data in RV(trouble), so that a play
    goes on to the one that decides. A host that was not switched is not asked.
  - An instance that does not work is asked for its last words, what its health check says, or how it ended,
    and its last log lines. They go into the step, without the secrets of the app.
options:
  rollout:
    description:
      - The roll, as RV(dianrong.cloud.rollout#module:rollout) of
        O(dianrong.cloud.rollout#module:state=begun) returned it.
    type: dict
    required: true
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
- name: The new instance still runs and is healthy
  dianrong.cloud.app_verify:
    rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
  become: true
"""

RETURN = r"""
trouble:
  description: What is wrong, in one sentence; empty where nothing is.
  returned: always
  type: str
"""
