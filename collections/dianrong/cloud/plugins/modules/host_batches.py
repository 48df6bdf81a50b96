#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_batches
short_description: Say how many hosts may be out of service at a time
version_added: 0.1.0
description:
  - Asks every load balancer that is in front of these hosts who is in service, and cuts them into batches,
    in their order, so that of no app fewer hosts stay than the CMDB says must.
  - A batch has one host at least. Where not even that one may leave, M(dianrong.cloud.host_service) refuses
    it when it is its turn, for it asks again.
  - A load balancer that does not answer is a failure. With O(at_most=1) none is asked.
options:
  hosts:
    description: The hosts, by their names in the inventory.
    type: list
    elements: str
    required: true
  at_most:
    description: How many at a time, however many might leave.
    type: int
    default: 1
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.host_service
  - module: dianrong.cloud.lb_pool_info
"""

EXAMPLES = r"""
- name: See how many may leave service at once
  dianrong.cloud.host_batches:
    hosts: "{{ ansible_play_hosts_all }}"
    at_most: 5
  register: upgrade
  run_once: true
"""

RETURN = r"""
batches:
  description: The sizes of the batches, as C(serial) of a play takes them.
  returned: success
  type: list
  elements: int
  sample: [2, 2, 2]
"""
