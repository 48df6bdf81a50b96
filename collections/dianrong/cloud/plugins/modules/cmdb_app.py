#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_app
short_description: Declare an app in the CMDB
version_added: 0.1.0
description:
  - Declares an app with its specification, its configurations and the hosts it runs on, or removes it.
  - It writes as an import does. A specification or configuration that differs from the present one becomes
    a new
    version, and one that was published never changes. Hosts of a placement get ports for both slots.
  - What is left out stays as it is.
options:
  name:
    description: The app.
    type: str
    required: true
  registry:
    description: The registry of its images; not needed where there is only one.
    type: str
  spec:
    description: The specification, as a whole. Needed for a new app.
    type: dict
  attrs:
    description: Free fields, as a whole.
    type: dict
  configs:
    description: Configurations by environment.
    type: list
    elements: dict
    default: []
    suboptions:
      env:
        description: The environment.
        type: str
        required: true
      document:
        description: The configuration, as a whole.
        type: dict
        required: true
  placements:
    description: Where it runs. Placements in other environments stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      env:
        description: The environment.
        type: str
        required: true
      hosts:
        description: The hosts, all of them and in order. Needed for a new placement.
        type: list
        elements: str
      min_in_service:
        description: How many instances must stay in service.
        type: int
      batch:
        description: How many hosts a roll may change at once, or a share of them as V(25%).
        type: str
      lb_port:
        description: The port at the load balancers.
        type: int
      lbs:
        description: The load balancers, all of them.
        type: list
        elements: str
      attrs:
        description: Free fields, as a whole.
        type: dict
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.state
  - dianrong.cloud._cmdb.version
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: The shop on four hosts
  dianrong.cloud.cmdb_app:
    name: shop
    spec:
      image: dianrong/shop
      port: 8080
      tier: frontend
    placements:
      - env: prod
        hosts: [dk-01, dk-02, dk-03, dk-04]
        min_in_service: 3
        lb_port: 8080
        lbs: [lb-01, lb-02]
    reason: the shop goes to production
    ticket: CHG-1042
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
