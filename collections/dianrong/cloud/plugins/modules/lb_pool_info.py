#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lb_pool_info
short_description: Say how many members of a pool are in service, at every load balancer
version_added: 0.1.0
description:
  - Asks every load balancer in front of an app which hosts take new requests. A host counts only when each of
    them sends it requests, for a request may come to any.
  - A load balancer that does not answer serves nobody, so with it no host is in service. A drained host is
    not either.
  - This is the question to ask before anything takes a member away.
options:
  app:
    description: The app.
    type: str
    required: true
  env:
    description: The environment.
    type: str
    required: true
  lbs:
    description:
      - The load balancers. The default are all of the group C(role_lb) that have the pool, without those that
        are declared out of service (maintenance, quarantined, retired).
    type: list
    elements: str
  leaving:
    description: Hosts that are about to leave; RV(staying) and RV(enough) are without them.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.lb_member
"""

EXAMPLES = r"""
- name: Ask whether dk-01 can go
  dianrong.cloud.lb_pool_info:
    app: demo
    env: prod
    leaving: [dk-01]
  register: capacity

- name: Stop here where it cannot
  ansible.builtin.assert:
    that: capacity.enough
    fail_msg: "only {{ capacity.staying }} of {{ capacity.min_in_service }} hosts would stay in service"
"""

RETURN = r"""
pool:
  description: The pool's name at the load balancers.
  returned: success
  type: str
  sample: demo_prod
in_service:
  description: The hosts that every load balancer sends requests to.
  returned: success
  type: list
  elements: str
  sample: [dk-01, dk-02, dk-03]
down:
  description: The members that are not among them.
  returned: success
  type: list
  elements: str
  sample: [dk-04]
count:
  description: How many hosts are in service.
  returned: success
  type: int
  sample: 3
staying:
  description: How many are without those in O(leaving).
  returned: success
  type: int
  sample: 2
min_in_service:
  description: How many must stay, as the CMDB has it.
  returned: success
  type: int
  sample: 2
enough:
  description: Whether at least RV(min_in_service) hosts stay.
  returned: success
  type: bool
  sample: true
lbs:
  description: What each load balancer says, or why it says nothing.
  returned: success
  type: dict
  sample:
    lb-01:
      answers: true
      reason: null
      in_service: [dk-01]
      servers:
        dk-01_a: {host: dk-01, state: ready, running: true, sessions: 3, in_service: true}
"""
