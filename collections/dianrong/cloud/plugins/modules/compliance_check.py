#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compliance_check
short_description: Judge a host by the compliance controls and record the findings
version_added: 0.1.0
description:
  - Runs M(dianrong.cloud.compliance_evidence) on the host, which changes nothing there.
  - >-
    Tries an unauthenticated handshake from the controller on ports 2375 and 2376, on every other TCP listener
    of the engine, and on the published ports of containers that see the engine's socket.
  - Judges what was seen by all controls, and records evidence and findings in the CMDB except in check mode.
  - >-
    A host that cannot be reached or read does not fail; M(dianrong.cloud.compliance_verdict) counts it as not
    seen.
options:
  socket:
    description: The Unix socket of the engine.
    type: path
    default: /var/run/docker.sock
  probe_timeout:
    description: How long a handshake from the controller may take, in seconds.
    type: float
    default: 3.0
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.compliance_evidence
  - module: dianrong.cloud.compliance_verdict
"""

EXAMPLES = r"""
- name: Judge the host
  dianrong.cloud.compliance_check:
  become: true
  register: compliance_check
"""

RETURN = r"""
outcome:
  description: What the controls say of the host.
  returned: success
  type: dict
  contains:
    host:
      description: The host's name.
      type: str
      sample: dk-01
    seen:
      description: Whether the host could be entered and read.
      type: bool
    reason:
      description: Why not.
      type: str
    controls:
      description: For each control its status, how many objects passed, and the problems one by one.
      type: list
      elements: dict
    fixed:
      description: The findings that are gone since the last run.
      type: list
      elements: str
"""
