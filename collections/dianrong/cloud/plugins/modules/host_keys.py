#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_keys
short_description: Pin the SSH host keys of new hosts
version_added: 0.1.0
description:
  - Asks hosts in state V(planned) or V(provisioning) that have no pinned key for their SSH host keys,
    through their bastion where they have one, and pins them in the CMDB. From then on, OpenSSH checks them
    strictly.
  - A pinned key is never replaced. A host in service without a pinned key is refused.
  - Works on all hosts at once and costs nothing when all keys are pinned. A host that does not answer is
    warned of, and fails as unreachable in the next task, so that it stops nobody else.
options:
  names:
    description:
      - Names of the hosts. The bastions in front of them are added.
    type: list
    elements: str
    required: true
  ssh_config:
    description:
      - The fleet's OpenSSH configuration as the inventory wrote it; C(known_hosts) beside it is brought up
        to date. In check mode, the result names a copy that also trusts the keys found.
    type: path
  timeout:
    description:
      - Seconds to wait for an answer.
    type: int
    default: 10
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: First contact
  dianrong.cloud.host_keys:
    names: "{{ ansible_play_hosts_all }}"
    ssh_config: "{{ dr_ssh_config }}"
  run_once: true
"""

RETURN = r"""
pinned:
  description: Types of the keys that were, or in check mode would be, pinned, by host.
  returned: success
  type: dict
  sample: {dk-01: [ecdsa-sha2-nistp256, ssh-ed25519]}
refused:
  description: Why no key was pinned, by host.
  returned: success
  type: dict
  sample: {dk-02: no SSH server showed its key at 10.90.0.12 port 22 through bastion-01}
ssh_config:
  description: The OpenSSH configuration that reaches the hosts now. Null when there was nothing to pin.
  returned: success
  type: str
  sample: /tmp/drcloud-check-1/config
"""
