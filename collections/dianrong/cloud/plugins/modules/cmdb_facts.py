#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_facts
short_description: Record in the CMDB what a host says of itself
version_added: 0.1.0
description:
  - Runs M(dianrong.cloud.host_facts) on the host and records the facts in the CMDB, where the newest
    reading wins.
  - What is observed is no declared change, so the task never reports one.
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb.reading
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.host_facts
"""

EXAMPLES = r"""
- name: Record what the host is
  dianrong.cloud.cmdb_facts:
"""

RETURN = r"""
facts:
  description: The facts, as M(dianrong.cloud.host_facts) returns them.
  returned: success
  type: dict
  sample: {hostname: dk-01}
"""
