#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Hold locks for as long as this playbook runs
version_added: 0.1.0
description:
  - Takes locks of the CMDB, all or none. Where another holds one, the task fails with exit code 5 and names
    who holds it, for what and since when.
  - A process beside C(ansible-playbook) renews them, and gives them back when that ends, however it ends.
    Workers that a killed C(ansible-playbook) left behind keep them for as long as they act.
  - Tasks of one C(ansible-playbook), and all playbooks of one C(drcloud) run, hold locks together.
options:
  locks:
    description:
      - Names of the locks, such as V(host:dk-01), V(app:demo@prod) or V(lb:demo_prod).
    type: list
    elements: str
    required: true
  exclusive:
    description:
      - Whether nobody else may hold the locks. Shared ones go with other shared ones.
    type: bool
    default: true
  purpose:
    description:
      - What for, in a word or two; whoever is refused reads it.
    type: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
    details: Takes no lock.
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
- name: Have the hosts to ourselves
  dianrong.cloud.lease:
    locks: "{{ ansible_play_hosts_all | map('regex_replace', '^', 'host:') }}"
    purpose: provision
  run_once: true
"""

RETURN = r"""
holder:
  description: Who holds the locks; the id of the run under C(drcloud).
  returned: success
  type: str
  sample: ctl-01/4711/88123
tokens:
  description: The fencing token of each lock; it only grows.
  returned: success
  type: dict
  sample: {"host:dk-01": 17}
"""
