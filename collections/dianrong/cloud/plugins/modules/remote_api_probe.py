#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: remote_api_probe
short_description: Prove that no stranger gets into the Docker Engine of a host
version_added: 0.1.0
description:
  - Finds every TCP listener of the engine, from the process behind its socket and from the systemd units that
    open sockets for it, and speaks to each as a stranger would, first in plain HTTP, then in TLS without a
    client certificate. The controller does so over the network, the host itself at each of its addresses.
  - Fails when one of them lets a stranger in, when the engine listens where nobody declared it, and when a
    declared listener is not there or a handshake does not show that it asks for a certificate.
  - Ports that containers publish are the containers'; without a proxy process the engine holds them as well.
  - Also knocks at 2375 and 2376 where nothing listens.
  - With O(targets), only makes the handshakes, from the host of the task. Delegated to another host, it is
    the look from there.
options:
  expected:
    description:
      - The TCP ports at which the Remote API is declared to listen and to ask for client certificates.
    type: list
    elements: int
    default: []
  others:
    description:
      - TCP ports at which the engine may listen for something else, as with C(metrics-addr).
    type: list
    elements: int
    default: []
  targets:
    description:
      - Where to knock; RV(targets) of an earlier task.
    type: list
    elements: dict
    suboptions:
      address:
        description: The address.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
  timeout:
    description:
      - How long to wait for one answer, in seconds.
    type: float
    default: 3.0
  socket:
    description:
      - The engine's local socket.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
notes:
  - Needs root on the host, to see the sockets of the engine.
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.compliance_check
"""

EXAMPLES = r"""
- name: Nothing of the engine listens on the network
  dianrong.cloud.remote_api_probe:

- name: The Remote API asks for a client certificate
  dianrong.cloud.remote_api_probe:
    expected: [2376]
  register: probe

- name: And it does so to the neighbours
  dianrong.cloud.remote_api_probe:
    expected: [2376]
    targets: "{{ probe.targets }}"
  delegate_to: "{{ probe.neighbour }}"
"""

RETURN = r"""
handshakes:
  description: What became of each handshake.
  returned: always
  type: list
  elements: dict
  contains:
    source:
      description: Who knocked.
      type: str
      sample: the controller
    address:
      description: At which address.
      type: str
      sample: 10.90.0.11
    port:
      description: At which port.
      type: int
      sample: 2376
    state:
      description:
        - V(certificate-required), V(denied), V(closed) or V(unreachable) for a stranger who stays out.
        - V(open) or V(open-tls) for one who got in.
        - V(not-docker) where something else answered, V(undecided) otherwise.
      type: str
      sample: certificate-required
    detail:
      description: The same in a sentence.
      type: str
      sample: TLS demands a client certificate
targets:
  description: Where the controller knocked, as other hosts should.
  returned: when O(targets) was not given
  type: list
  elements: dict
  sample: [{address: 10.90.0.11, port: 2376}]
neighbour:
  description:
    - Another host that should knock there as well. The next one by name of the Docker hosts of the play, else
      of those in service, else of the play; empty when there is none, or when O(expected) is empty.
  returned: when O(targets) was not given
  type: str
  sample: dk-02
listeners:
  description: The TCP listeners of the engine and who else holds its usual ports.
  returned: when O(targets) was not given
  type: list
  elements: dict
  sample: [{address: 10.90.0.11, port: 2376, owner: dockerd, published: false}]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError
from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_daemon import (
    ProcessTable,
    find_daemon,
    read_listeners,
    socket_units,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._remote_api import handshake

UNIT_PROPERTIES = "Id,Listen,Triggers,FragmentPath,DropInPaths,ActiveState"
# Where a listener on all addresses is spoken to from its own host.
WITHIN = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (nothing is bound here)


def look(module):
    """Return the engine's listeners, each spoken to from here, and what systemd opens for the engine."""
    processes, path = ProcessTable(), module.params["socket"]
    pid = find_daemon(processes, path)[0] if os.path.exists(path) else None
    published = published_ports(path) if pid else set()
    listeners = read_listeners(processes, pid)
    # A container may come or go meanwhile.
    published |= published_ports(path) if pid else set()
    for listener in listeners:
        listener["published"] = (listener["address"], listener["port"]) in published
    return {
        "engine": "present" if pid else "stopped",
        "listeners": listeners,
        "socket_units": units(module),
        "handshakes": knock([one for one in listeners if not one["published"]], module.params["timeout"]),
    }


def published_ports(path):
    """Return the addresses and ports that containers publish; none where the engine does not answer."""
    try:
        return {(address, port) for _name, address, port in Engine(path).published()}
    except EngineError:
        return set()


def units(module):
    """Return the socket units that start the engine."""
    if not os.path.isdir("/run/systemd/system"):
        return []
    command = ["systemctl", "show", "--property", UNIT_PROPERTIES, "*.socket"]
    output = module.run_command(command, check_rc=True)[1]
    found = socket_units(output)
    return [one for one in found if "docker.service" in one["triggers"] or one["unit"] == "docker.socket"]


def knock(targets, timeout):
    """Shake hands with each target; one after the other, for a host has few."""
    return [
        handshake(WITHIN.get(target["address"], target["address"]), target["port"], timeout)
        for target in targets
    ]


def main():
    module = AnsibleModule(
        argument_spec={
            "expected": {"type": "list", "elements": "int", "default": []},
            "others": {"type": "list", "elements": "int", "default": []},
            "targets": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                },
            },
            "timeout": {"type": "float", "default": 3.0},
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        if given["targets"] is not None:
            module.exit_json(changed=False, handshakes=knock(given["targets"], given["timeout"]))
        module.exit_json(changed=False, **look(module))
    except OSError as error:
        module.fail_json(msg=f"the engine's listeners cannot be read: {error}")


if __name__ == "__main__":
    main()
