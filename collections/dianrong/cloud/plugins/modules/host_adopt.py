#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_adopt
short_description: Declare in the CMDB what a host has that somebody else set up
version_added: 0.1.0
description:
  - Reads the task's host with M(dianrong.cloud.host_survey) and declares its bridges and disks as they are,
    beside what is declared of it. Nothing that is declared is changed, and nothing is done on the host.
  - A Docker network becomes a bridge of mode C(nat) where its Linux bridge has its name. A disk becomes
    C(docker-data) or C(app-volume) where its file system is mounted as one, and C(spare) otherwise, which is
    never touched. What cannot be declared as it is stays as it is, and RV(notes) tells why.
  - Refuses a host that was provisioned; there the CMDB says what is.
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when run again on the same state.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.host_survey
"""

EXAMPLES = r"""
- name: Take over what is there
  dianrong.cloud.host_adopt:
    reason: it ran before it was ours
  become: true
  register: adopted
"""

RETURN = r"""
notes:
  description: What a person has to know or see to, in sentences.
  returned: success
  type: list
  elements: str
  sample: ["container web: running, nginx:1.27; publishes 8080->80/tcp"]
survey:
  description: What was found, as M(dianrong.cloud.host_survey) returns it.
  returned: success
  type: dict
changes:
  description: What changed in the CMDB, object by object.
  returned: success
  type: list
  elements: dict
objects:
  description: The host as it is declared now.
  returned: success
  type: list
  elements: dict
"""
