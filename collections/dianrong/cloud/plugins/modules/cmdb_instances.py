#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_instances
short_description: Record in the CMDB which instances of apps are on a host
version_added: 0.1.0
description:
  - Runs M(dianrong.cloud.instances_info) on the host, asks the apps that the CMDB places there for their
    health, and records what was seen, where the newest look wins. Status, history of instances, drift and
    drift groups go by it. Recorded too are the names of containers of others that run there.
  - What is observed is no declared change, so the task never reports one. A check looks and records nothing.
options:
  source:
    description: Who looked; kept with the observation.
    type: str
    default: observe
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb.reading
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.instances_info
"""

EXAMPLES = r"""
- name: Record what runs here
  dianrong.cloud.cmdb_instances:
  become: true
"""

RETURN = r"""
instances:
  description: The instances, as M(dianrong.cloud.instances_info) returns them.
  returned: success
  type: list
  elements: dict
  sample: [{name: demo_prod_a_5d41402a, status: running, health: healthy, differs: []}]
strangers:
  description: Containers of others, as M(dianrong.cloud.instances_info) returns them.
  returned: success
  type: list
  elements: str
  sample: [postgres]
"""
