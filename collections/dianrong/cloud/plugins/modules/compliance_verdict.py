#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compliance_verdict
short_description: Sum up a compliance run and fail where something is wrong or was not seen
version_added: 0.1.0
description:
  - Reads what M(dianrong.cloud.compliance_check) registered on all hosts of the play; runs once.
  - >-
    Fails with exit code 10 in RV(dr_exit_code) for findings from the threshold on, 11 when a host or an
    object could not be seen, 4 when no host was expected to comply. What was not seen is never taken for
    good.
  - Hosts whose state is V(planned) or V(retired) are not expected.
options:
  register:
    description: The variable under which the hosts registered their outcome.
    type: str
    default: compliance_check
  threshold:
    description: The lowest severity of findings that makes the run fail.
    type: str
    choices: [low, medium, high, critical]
    default: high
  junit:
    description: Write a JUnit report to this file on the controller.
    type: path
  report:
    description: Write the whole report as JSON to this file on the controller.
    type: path
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.compliance_check
"""

EXAMPLES = r"""
- name: Decide whether all is well
  dianrong.cloud.compliance_verdict:
    threshold: medium
    junit: compliance.xml
  run_once: true
"""

RETURN = r"""
msg:
  description: The whole report in one sentence.
  returned: always
  type: str
  sample: 10 of 10 hosts seen, 0 findings, 0 at or above high
dr_exit_code:
  description: The exit code of the contract.
  returned: failure
  type: int
  sample: 10
"""
