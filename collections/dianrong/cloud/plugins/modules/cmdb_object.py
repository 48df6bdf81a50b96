#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_object
short_description: Bring any declared objects of the CMDB to what a task says
version_added: 0.1.0
description:
  - Creates, changes or removes objects of any kind by their natural keys, any number of them in one
    transaction, so that a list needs no loop of tasks.
  - All of it happens or nothing. Objects are checked against each other and against the CMDB, references
    included, also in check mode.
  - C(drcloud cmdb show) lists the kinds, C(drcloud cmdb show KIND NAME) the fields of an object.
options:
  kind:
    description:
      - What it is, for instance V(rack). Give this or O(objects).
    type: str
  name:
    description:
      - Its natural key, for instance V(bj1/r1/a01) of a rack, V(demo@prod) of a placement.
      - Not needed where O(fields) holds all that names it.
    type: str
  fields:
    description:
      - Fields to set. Those that are not here stay as they are, and V(null) empties an optional one.
      - Other objects are named by their natural keys.
      - A name such as V(attrs.team) sets one part of a free document, and V(null) removes it.
    type: dict
    default: {}
  objects:
    description:
      - Many objects, which may refer to each other, in any order.
    type: list
    elements: dict
    suboptions:
      kind:
        description: As O(kind).
        type: str
        required: true
      name:
        description: As O(name).
        type: str
      fields:
        description: As O(fields).
        type: dict
        default: {}
      state:
        description: As O(state).
        type: str
        choices: [present, absent]
        default: present
      version:
        description: As O(version).
        type: int
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.state
  - dianrong.cloud._cmdb.version
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.cmdb_info
"""

EXAMPLES = r"""
- name: A rack of 47 units
  dianrong.cloud.cmdb_object:
    kind: rack
    name: bj1/r1/a03
    fields: {units: 47}
    reason: third row

- name: A team takes over two hosts
  dianrong.cloud.cmdb_object:
    objects:
      - {kind: host, name: dk-01, fields: {attrs.team: payments}}
      - {kind: host, name: dk-02, fields: {attrs.team: payments}}
    reason: moved to payments
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
