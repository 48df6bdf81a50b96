#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_allocation
short_description: Allocate an address, a subnet or a number to an owner
version_added: 0.1.0
description:
  - Gives an owner key the lowest address, subnet, host port or number that is free, and the same one again
    whenever
    the same owner asks. Any number of hosts may ask at once.
  - What the owner has already is told without a write.
options:
  type:
    description:
      - What to allocate. V(port) is a number from the pool of O(host), from 20000 to 29999 unless O(first)
        and
        O(last) say otherwise.
    type: str
    choices: [address, number, port, subnet]
    required: true
  owner:
    description:
      - Who owns it, for instance V(dk-01/bmc), a host and a purpose.
    type: str
    required: true
  prefix:
    description:
      - The prefix of an address, or the aggregate that a subnet is carved from, as V(10.90.0.0/24) or
        V(10.90.0.0/24@vrf).
    type: str
  length:
    description: The length of a subnet's prefix; 24 without it.
    type: int
  purpose:
    description:
      - The purpose of a new address or subnet; V(reserved) and V(containers) without it.
    type: str
  host:
    description: The host of a port, or the host that has a new address.
    type: str
  pool:
    description: The pool of a number.
    type: str
  first:
    description: The lowest number that may be given.
    type: int
  last:
    description: The highest number that may be given.
    type: int
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.state
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Every host gets a network for its containers
  dianrong.cloud.cmdb_allocation:
    type: subnet
    prefix: 172.20.0.0/16
    owner: "{{ inventory_hostname }}/containers"
    reason: provision
  register: subnet

- name: Reserve an address for the management controller
  dianrong.cloud.cmdb_allocation:
    type: address
    prefix: 10.91.0.0/24
    owner: "{{ inventory_hostname }}/bmc"
    purpose: bmc
    host: "{{ inventory_hostname }}"
    reason: provision
"""

RETURN = r"""
value:
  description: The address, the subnet or the number; V(null) when it was freed.
  returned: success
  type: raw
  sample: 172.20.3.0/24
"""
