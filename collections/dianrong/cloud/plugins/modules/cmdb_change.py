#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_change
short_description: Declare a change ticket in the CMDB
version_added: 0.1.0
description:
  - Declares a change with its window and scope, and moves its state. Where policy asks for one, writes and
    deployments need an open change that covers them.
  - A move that the present state does not allow is refused.
options:
  name:
    description:
      - The change's number. O(ticket) is the change under which this write itself is logged.
    type: str
    required: true
  title:
    description: What is changed.
    type: str
  state:
    description:
      - The state to move to; V(draft) is where a new one begins.
      - V(absent) removes the ticket.
    type: str
    choices: [draft, approved, open, closed, cancelled, absent]
  window_start:
    description: When it may begin, as V(2026-03-01T22:00+08:00). A window has both ends or none.
    type: raw
  window_end:
    description: When it must be done.
    type: raw
  scope:
    description: What it covers, lists of name patterns by kind.
    type: dict
  attrs:
    description: Free fields, as a whole.
    type: dict
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.version
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Plan the change
  dianrong.cloud.cmdb_change:
    name: CHG-1042
    title: The shop goes to production
    window_start: "2026-03-01T22:00+08:00"
    window_end: "2026-03-02T02:00+08:00"
    scope:
      environment: [prod]
      app: [shop]
    reason: planned in the weekly meeting

- name: Open it
  dianrong.cloud.cmdb_change:
    name: CHG-1042
    state: open
    reason: the window has begun
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
