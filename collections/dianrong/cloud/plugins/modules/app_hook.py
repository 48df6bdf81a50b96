#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_hook
short_description: Run what an app wants to be run after a roll
version_added: 0.1.0
description:
  - For the end of a roll, on one of its hosts. Runs the hooks of the app that are C(after) and per C(roll),
    in containers of the new image, once all hosts are done.
  - A hook that does not end with 0 makes the host's step fail in the ledger and comes back as data in
    RV(trouble), so that a play goes on to the one that decides.
  - The hooks before a roll, and those of each host, are run by M(dianrong.cloud.app_switch).
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
    details: The hooks are run each time.
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
"""

EXAMPLES = r"""
- name: All is switched and healthy
  dianrong.cloud.app_hook:
    rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
  become: true
  run_once: true
"""

RETURN = r"""
trouble:
  description: What is wrong, in one sentence; empty where nothing is.
  returned: always
  type: str
"""
