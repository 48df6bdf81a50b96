#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lb_member
short_description: Put a host in or out of service at every load balancer
version_added: 0.1.0
description:
  - Sets the administrative state of a host's servers in a pool at all load balancers in front of it, and
    reads it back.
  - Takes nobody out where fewer hosts than must stay would be in service at one of them.
  - Opens one SSH connection to each load balancer from inside the task. That costs a tenth of a module there.
  - Holds the lock C(lb:<pool>) alone from the question to the answer, so that two who take out hosts at the
    same time do not count on each other's. While a roll or a provision of a load balancer has the pool, the
    task fails with exit code 5.
  - A load balancer that does not answer is a failure, before anything is changed at the others. Where one
    fails in between, the others are put back, and the error says which ones are as they were.
options:
  app:
    description: The app.
    type: str
    required: true
  env:
    description: The environment.
    type: str
    required: true
  host:
    description: The host that the slot is on.
    type: str
    required: true
  slot:
    description: The slot. Without it, both slots of the host.
    type: str
    choices: [a, b]
  state:
    description:
      - V(ready) takes requests when its health checks pass, V(drain) finishes what it has and takes no new
        ones.
      - V(maint) is out altogether and is not checked.
    type: str
    required: true
    choices: [ready, drain, maint]
  lbs:
    description:
      - The load balancers. The default are all of the group C(role_lb) that have the pool, without those that
        are declared out of service (maintenance, quarantined, retired).
    type: list
    elements: str
  min_in_service:
    description: How many hosts must stay in service. The default is what the CMDB says of the placement.
    type: int
  wait:
    description:
      - How many seconds to wait until a host that leaves has no request any more, or one that comes back is
        in service at every load balancer. Failing that is an error. V(0) is not to wait.
    type: float
    default: 0
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.lb_pool_info
"""

EXAMPLES = r"""
- name: Take the instance in slot a of dk-01 out of service
  dianrong.cloud.lb_member:
    app: demo
    env: prod
    host: dk-01
    slot: a
    state: drain

- name: Take dk-01 out of service, and go on when its last request is answered
  dianrong.cloud.lb_member:
    app: demo
    env: prod
    host: dk-01
    state: drain
    wait: 30
"""

RETURN = r"""
servers:
  description: The servers' names at the load balancers.
  returned: success
  type: list
  elements: str
  sample: [dk-01_a, dk-01_b]
sessions:
  description: How many requests the servers have, at all load balancers together.
  returned: success
  type: int
  sample: 0
"""
