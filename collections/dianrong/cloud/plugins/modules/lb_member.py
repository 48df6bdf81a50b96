#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lb_member
short_description: Put a slot of a host in or out of service at every load balancer
version_added: 0.1.0
description:
  - Sets the administrative state of one server of a pool at all load balancers in front of it, and reads it
    back.
  - Opens one SSH connection to each load balancer from inside the task. That costs a tenth of a module there.
  - A load balancer that does not answer is a failure, before anything is changed at the others.
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
    description: The slot.
    type: str
    required: true
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
    description: The load balancers. The default are all of the group C(role_lb) that have the pool.
    type: list
    elements: str
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Take the instance in slot a of dk-01 out of service
  dianrong.cloud.lb_member:
    app: demo
    env: prod
    host: dk-01
    slot: a
    state: drain
"""

RETURN = r"""
server:
  description: The server's name at the load balancers.
  returned: success
  type: str
  sample: dk-01_a
"""
