#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_service
short_description: Take a host out of service at every load balancer, or bring it back
version_added: 0.1.0
description:
  - Sets the servers of the task's host in all pools that it is a member of, at all load balancers of the
    inventory that have them, and reads them back. Nothing is done on the host itself, which may be dead.
  - Load balancers that are declared out of service (maintenance, quarantined, retired) are not asked.
  - All pools are asked for capacity before any of them is changed.
  - Holds the lock C(lb:<pool>) of each pool alone from the question to the answer. While a roll has one
    of them, the task fails with exit code 5.
options:
  state:
    description:
      - V(out) finishes what the host has and sends it nothing new.
      - V(in) brings it back in each pool whose app runs there as the last successful deployment left it,
        as last observed. Others stay as they are, and RV(behind) names them. With O(owner) it is what was in
        service before that comes back, whatever runs there.
    type: str
    required: true
    choices: [out, in]
  force:
    description: Whether O(state=out) asks nobody if enough other hosts stay in service.
    type: bool
    default: false
  wait:
    description:
      - How many seconds to wait until the host has no request any more, or is in service at every load
        balancer. Failing that is an error. V(0) is not to wait.
    type: float
    default: 60
  patience:
    description: How many seconds to wait for a lock that another has, as the next host of the same play may.
    type: float
    default: 0
  owner:
    description:
      - Who takes the host out, and will bring it back, as C(upgrade_engine). With O(state=out), what sends it
        requests is kept in the CMDB (C(attrs.drained_by) of the host) before a load balancer is told. With
        O(state=in), just that comes back, and nothing is done where another one took the host out, or nobody.
      - So a run that was killed in between can be told from a drain by hand, and the next one goes on.
    type: str
  ticket:
    description: The change ticket, where the CMDB asks for one.
    type: str
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: full
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
seealso:
  - module: dianrong.cloud.lb_member
"""

EXAMPLES = r"""
- name: Take each host out of service
  dianrong.cloud.host_service:
    state: out

- name: Bring it back
  dianrong.cloud.host_service:
    state: in

- name: Take it out for something that is mended in a minute
  dianrong.cloud.host_service:
    state: out
    owner: new_kernel

- name: Bring back what was in service before, behind a deploy or not
  dianrong.cloud.host_service:
    state: in
    owner: new_kernel
"""

RETURN = r"""
pools:
  description: The pools that the host was taken out of, or brought back in.
  returned: success
  type: list
  elements: str
  sample: [demo_prod]
behind:
  description: The pools that it was not brought back in, each with what is wrong there.
  returned: success
  type: dict
  sample: {demo_prod: another image runs}
"""
