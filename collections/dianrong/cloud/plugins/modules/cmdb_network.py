#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_network
short_description: Declare networks in the CMDB
version_added: 0.1.0
description:
  - Declares VRFs, firewall zones, VLANs, prefixes and addresses, or removes them, in one transaction.
  - The objects of a call may refer to each other. What an object leaves out stays as it is, and an empty text
    empties an optional field.
options:
  vrfs:
    description: Routing tables of their own.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name.
        type: str
        required: true
      description:
        description: What it is for.
        type: str
      attrs:
        description: Free fields, as a whole.
        type: dict
  zones:
    description: Zones of the firewall.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name.
        type: str
        required: true
      description:
        description: What it is for.
        type: str
      allows:
        description: All services that are open to the zone; those that are not listed are closed.
        type: list
        elements: str
        choices: [ssh, registry, log, time, api, apps, lb, lb_admin, vrrp, ping]
      attrs:
        description: Free fields, as a whole.
        type: dict
  vlans:
    description: VLANs of IDCs.
    type: list
    elements: dict
    default: []
    suboptions:
      idc:
        description: The IDC's code.
        type: str
        required: true
      vid:
        description: The VLAN's number, from 1 to 4094.
        type: int
        required: true
      name:
        description: The name.
        type: str
      attrs:
        description: Free fields, as a whole.
        type: dict
  prefixes:
    description: IP prefixes.
    type: list
    elements: dict
    default: []
    suboptions:
      cidr:
        description: The prefix, for instance V(10.90.0.0/24).
        type: str
        required: true
      vrf:
        description: The VRF; the default one without it.
        type: str
      idc:
        description: The IDC's code.
        type: str
      vlan:
        description: The number of a VLAN of O(prefixes[].idc).
        type: int
      zone:
        description: The firewall zone.
        type: str
      purpose:
        description: What it is for, for instance V(management).
        type: str
      aggregate:
        description: Whether it contains other prefixes instead of addresses.
        type: bool
      attrs:
        description: Free fields, as a whole.
        type: dict
  addresses:
    description: IP addresses. The prefix of each is found by its value.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: The address.
        type: str
        required: true
      vrf:
        description: The VRF; the default one without it.
        type: str
      host:
        description: The host that has it.
        type: str
      nic:
        description: The network port of O(addresses[].host) that carries it.
        type: str
      purpose:
        description: What it is for. A host is reached at its address with the purpose V(management).
        type: str
      attrs:
        description: Free fields, as a whole.
        type: dict
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.state
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.cmdb_allocation
"""

EXAMPLES = r"""
- name: The storage network of an IDC
  dianrong.cloud.cmdb_network:
    vlans:
      - {idc: bj1, vid: 120, name: storage}
    prefixes:
      - {cidr: 10.92.0.0/16, idc: bj1, aggregate: true, purpose: storage}
      - {cidr: 10.92.1.0/24, idc: bj1, vlan: 120, purpose: storage}
    reason: second storage network
"""

RETURN = r"""
changes:
  description: What changed, or in check mode would, object by object, with the fields that differ.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      action: update
      before: {rack: bj1/r1/a01}
      after: {rack: bj1/r1/a02}
objects:
  description: The objects as they are then, each with its kind, natural key, version and fields.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      version: 3
      fields: {name: dk-01, role: docker}
"""
