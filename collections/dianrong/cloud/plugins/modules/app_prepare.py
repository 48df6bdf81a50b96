#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_prepare
short_description: Prepare a host for a roll
version_added: 0.1.0
description:
  - Tells what runs on the host and, where that is not the roll's revision, pulls the image by digest and
    checks the ports.
  - Nothing that runs is touched. What the host said is recorded in the CMDB.
  - Trouble, an unreachable host too, comes back as data in RV(trouble), so that a play goes on to the one
    that decides.
options:
  rollout:
    description:
      - The roll, as RV(dianrong.cloud.rollout#module:rollout) of
        O(dianrong.cloud.rollout#module:state=begun) returned it.
    type: dict
    required: true
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Pull the image and see what runs
  dianrong.cloud.app_prepare:
    rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
  become: true
  register: dr_prepared
"""

RETURN = r"""
instances:
  description: All instances of drCloud on the host.
  returned: always
  type: list
  elements: dict
trouble:
  description: What is wrong with the host, or empty.
  returned: always
  type: str
pull:
  description:
    - What the host pulled, or would in check mode, where it lacks it. C(bytes) are those of the layers that
      are not there yet, none where the registry did not tell them.
  returned: where there is no trouble
  type: dict
  sample:
    image: registry:5000/dianrong/demo@sha256:0b4e...
    bytes: 4194304
kind:
  description: Whose trouble it is, V(host) or V(registry), or empty.
  returned: always
  type: str
lost:
  description: Whether the host did not answer.
  returned: always
  type: bool
"""
