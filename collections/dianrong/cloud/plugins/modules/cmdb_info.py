#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_info
short_description: Read declared objects of the CMDB
version_added: 0.1.0
description:
  - Returns objects of one kind, by their names or by the values of their fields, now or as they were.
options:
  kind:
    description:
      - The kind, for instance V(host). C(drcloud cmdb show) lists them.
    type: str
    required: true
  names:
    description:
      - Natural keys of the objects; all of the kind without any. A name that the CMDB does not know is an
        error.
    type: list
    elements: str
    default: []
    aliases: [name]
  filters:
    description:
      - Return only objects of which each of these fields has its value; a list of values means any of them.
      - A name such as V(attrs.team) looks into a free document.
    type: dict
    default: {}
  as_of:
    description:
      - Read the past, at the number of a change, a time such as V(2026-03-01T14:00), V(2h) ago,
        or V(ticket:NAME), which is before the first change under a ticket.
    type: str
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb.reading
author:
  - drCloud contributors (@dianrong)
seealso:
  - plugin: dianrong.cloud.cmdb
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Read the active Docker hosts
  dianrong.cloud.cmdb_info:
    kind: host
    filters: {role: docker, state: active}
  register: found

- name: Read where a host stood before a change
  dianrong.cloud.cmdb_info:
    kind: host
    name: dk-01
    as_of: ticket:CHG-1042
"""

RETURN = r"""
objects:
  description:
    - The objects, each with its kind, natural key, version and fields. Objects of the past have no version.
    - Hosts have their management C(address) among the fields.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      version: 3
      fields: {name: dk-01, role: docker, address: 10.90.0.11}
"""
