#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge_network
short_description: Bridges for containers, behind the host or in the place of its network interface
version_added: 0.1.0
description:
  - Makes Docker bridge networks, of mode C(nat) with a subnet of their own behind the host, or of mode
    C(uplink) on a Linux bridge that takes over a network interface with its addresses, routes and MAC
    address, so that containers have addresses of the interface's own network.
  - A takeover undoes itself unless the controller confirms it over a fresh connection; see
    M(dianrong.cloud.guard).
  - Everything is checked before anything is changed. Networks that containers use, stopped ones included, are
    neither removed nor made anew.
options:
  bridges:
    description:
      - The bridges that shall be there. Others stay as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the bridge and of the Docker network, at most 15 characters.
        type: str
        required: true
      mode:
        description:
          - V(nat) leaves the bridge to Docker, which translates addresses and publishes ports.
          - V(uplink) takes over O(bridges[].nic).
        type: str
        choices: [nat, uplink]
        required: true
      nic:
        description: The interface that an uplink takes over. Its addresses must be static.
        type: str
      slice:
        description:
          - The containers' addresses. With V(nat) the subnet of the network; without it Docker takes one.
          - With V(uplink) the part of the interface's network that belongs to this host's containers.
        type: str
      containers:
        description:
          - The aggregate of the CMDB that O(bridges[].slice) is carved from, always the same for the same
            bridge of a host. It is reserved when the host can have the bridge, and not before.
        type: str
      length:
        description:
          - Length of the prefix that is carved from O(bridges[].containers); without it 28 for an V(uplink)
            and 24 for V(nat).
        type: int
      gateway:
        description:
          - The router of the containers. With V(uplink) it also takes the place of the router that the
            interface's routes go through. Without it that router stays.
        type: str
      mtu:
        description: Bytes; without it an uplink has the interface's, and Docker decides for the others.
        type: int
      ipv6:
        description:
          - IPv6 network of the containers, with the host as its first address and their router. It has to
            be routed to the host.
        type: str
  absent:
    description:
      - Names of bridges that shall not be there. An interface that was taken over gets back what it had.
    type: list
    elements: str
    default: []
  seconds:
    description:
      - How long a change of the host's own network may stay unconfirmed.
    type: int
    default: 60
  guard:
    description:
      - What the change is confirmed by; the action sets it.
    type: dict
    suboptions:
      token:
        description: Names the change.
        type: str
        required: true
      seconds:
        description: Seconds until the undo.
        type: int
        required: true
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Containers get addresses of the host's own network
  dianrong.cloud.bridge_network:
    bridges:
      - name: br0
        mode: uplink
        nic: eth0
        slice: 10.90.0.128/28

- name: The same, with addresses that the CMDB reserves for the host
  dianrong.cloud.bridge_network:
    bridges:
      - name: br0
        mode: uplink
        nic: eth0
        containers: 10.90.0.128/25

- name: Containers stand behind the host
  dianrong.cloud.bridge_network:
    bridges:
      - name: apps
        mode: nat
        slice: 172.30.4.0/24
        mtu: 1400
"""

RETURN = r"""
guarded:
  description: Whether the change had to be confirmed.
  returned: when it had
  type: bool
"""

import glob
import json
import os
import socket
import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _bridges,
    _files,
    _links,
    _network_undo,
    _uplink,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError
from ansible_collections.dianrong.cloud.plugins.module_utils._engine_networks import EngineNetworks
from ansible_collections.dianrong.cloud.plugins.module_utils._guard import Guard, GuardError

GUARD = "network"
# Seconds for a router to answer a neighbour that is new to it.
PATIENCE = 5
OPTIONS = {
    "name": {"type": "str", "required": True},
    "mode": {"type": "str", "choices": ["nat", "uplink"], "required": True},
    "nic": {"type": "str"},
    "slice": {"type": "str"},
    # These two are the action's: it asks the CMDB and gives the slice.
    "containers": {"type": "str"},
    "length": {"type": "int"},
    "gateway": {"type": "str"},
    "mtu": {"type": "int"},
    "ipv6": {"type": "str"},
}
WISH = tuple(name for name in OPTIONS if name not in ("containers", "length"))


def read(module, engine):
    """Return the host as a plan looks at it."""
    links = _links.read(module.run_command)
    taken = {}
    for path in glob.glob(_uplink.record_path("*")):
        with open(path, encoding="utf-8") as file:
            taken[os.path.basename(path).rpartition(".")[0]] = _uplink.load(file.read())
    try:
        networks, swarm = engine.networks(), engine.swarm()
    except EngineError as error:
        # A check of a host that is going to get its engine: it has no networks yet.
        if error.status or not module.check_mode:
            raise
        networks, swarm = (), False
    managers = {name: _links.manager(link) for name, link in links.links.items()}
    return _bridges.Host(links, taken, networks, swarm, managers, docker_user(module))


def docker_user(module):
    """Return the rules of DOCKER-USER: none without the chain, nor without iptables, which Docker brings."""
    program = module.get_bin_path("iptables")
    return module.run_command([program, "-w", "-S", "DOCKER-USER"])[1] if program else ""


def files(plan):
    """Return the files that the plan's uplinks need, and those of bridges that go."""
    wanted = []
    for uplink in plan.uplinks:
        for path, text in (
            (_uplink.record_path(uplink.name), _uplink.dump(plan.taken[uplink.name])),
            (_uplink.script_path(uplink.name), _uplink.script(uplink)),
            (_uplink.unit_path(uplink.name), _uplink.unit(uplink)),
        ):
            wanted.append(_files.Wanted(path, text.encode("utf-8")))
    for name in plan.release:
        for path in (_uplink.unit_path(name), _uplink.script_path(name), _uplink.record_path(name)):
            wanted.append(_files.Wanted(path, None))
    return wanted


class Change:
    """What a plan does to one host."""

    def __init__(self, module, engine, host, plan):
        """Look at the files that the plan needs."""
        self.module = module
        self.engine = engine
        self.host = host
        self.plan = plan
        wanted = files(plan)
        self.files = _files.plan(wanted, {item.path: _files.read(item.path) for item in wanted})
        names = {*plan.taken, *plan.release}
        self.enabled = {name: os.path.lexists(_uplink.wish_path(name)) for name in names}
        self.switched = [name for name in plan.taken if not self.enabled[name]]

    @property
    def of_links(self):
        """Whether the host's own network changes, now or at its next boot."""
        return bool(self.plan.raise_ or self.plan.release or self.files or self.switched)

    @property
    def changed(self):
        """Whether anything changes."""
        return self.of_links or bool(self.plan.remove or self.plan.create)

    def diff(self, wishes, absent):
        """Return before and after, from the plan."""
        names = [*(wish.name for wish in wishes), *absent]
        standing = [found for found in (_bridges.now(self.host, name) for name in names) if found]
        networks = [network for network in self.host.networks if network.name in names]
        after = [one for one in standing if one.name not in (*self.plan.raise_, *self.plan.release)]
        after += [one for one in self.plan.uplinks if one.name in self.plan.raise_]
        kept = [network for network in networks if network.name not in self.plan.remove]
        return [
            {
                "before_header": "bridges",
                "after_header": "bridges",
                "before": _bridges.facts(self.host, standing, networks),
                "after": _bridges.facts(self.host, after, [*kept, *self.plan.create]),
            },
            *_files.diff(self.files),
        ]

    def apply(self):
        """Take the steps; the host's own network first, for Docker's networks stand on it."""
        if self.of_links:
            self._files()
            for name in self.plan.release:
                self._run(["/bin/sh", "-euc", _uplink.release(name, self.host.taken[name])])
            changed = {change.wanted.path for change in self.files}
            for uplink in self.plan.uplinks:
                if uplink.name in self.plan.raise_ or _uplink.script_path(uplink.name) in changed:
                    self._run(["/bin/sh", _uplink.script_path(uplink.name)])
                    self._await_router(uplink)
        for name in self.plan.remove:
            self.engine.remove_network(name)
        for network in self.plan.create:
            self.engine.create_network(network)

    def _files(self):
        _files.apply(self.files)
        for name in self.plan.release:
            if self.enabled[name]:
                os.unlink(_uplink.wish_path(name))
        self._run(["systemctl", "daemon-reload"])
        for name in self.switched:
            self._run(["systemctl", "enable", "--quiet", _uplink.unit_name(name)])

    def _await_router(self, uplink):
        """A router that does not answer is no way out, even where the controller is a neighbour."""
        routers = sorted({route.via for route in uplink.routes if route.via and ":" not in route.via})
        deadline = time.monotonic() + PATIENCE
        for router in routers:
            while not self._answers(uplink.name, router):
                if time.monotonic() > deadline:
                    raise _bridges.BridgeError(
                        f"bridge {uplink.name}: the router {router} does not answer there within "
                        f"{PATIENCE} seconds"
                    )
                time.sleep(0.2)

    def _answers(self, link, router):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # Any datagram has the kernel ask for the neighbour; port 9 throws it away.
                probe.sendto(b"", (router, 9))
            except OSError:
                return False
        shown = self._run(["ip", "-json", "neighbour", "show", "to", router, "dev", link])
        return any(entry.get("lladdr") for entry in json.loads(shown or "[]"))

    def _run(self, command):
        code, output, errors = self.module.run_command(command)
        if code:
            said = " ".join((errors or output).split())
            raise _bridges.BridgeError(f"{' '.join(command[:2])} failed: {said}")
        return output


def apply_guarded(change, guard, given):
    """Apply a change of the host's own network under its guard; on failure undo it at once."""
    token, seconds = given["token"], given["seconds"]
    guard.arm(token, _network_undo.script(change.plan, change.host, change.files, change.enabled), seconds)
    try:
        change.apply()
        guard.applied(token)
    except (_bridges.BridgeError, _files.FileError, EngineError, OSError) as error:
        guard.fire(token)
        raise _bridges.BridgeError(f"{error}; the host has the network back that it had before") from error


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    guard, engine = Guard(GUARD), EngineNetworks()
    if not module.check_mode:
        guard.settle()
    wishes = [_bridges.wish({name: one[name] for name in WISH}) for one in given["bridges"]]
    host = read(module, engine)
    change = Change(module, engine, host, _bridges.plan(wishes, given["absent"], host))
    declared = {*(wish.name for wish in wishes), *given["absent"]}
    for name in sorted(set(host.taken) - declared):
        module.warn(f"bridge {name} is not declared any more, but stays: name it in bridge_network_absent")
    result = {
        "changed": change.changed,
        "diff": change.diff(wishes, given["absent"]) if change.changed else [],
    }
    if module.check_mode or not change.changed:
        return result
    if not change.of_links:
        change.apply()
        return result
    if not given["guard"]:
        raise _bridges.BridgeError("a change of the host's own network needs the option guard")
    apply_guarded(change, guard, given["guard"])
    return {**result, "guarded": True}


def main():
    module = AnsibleModule(
        argument_spec={
            "bridges": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": OPTIONS,
                "required_if": [("mode", "uplink", ["nic"])],
            },
            "absent": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 60},
            "guard": {
                "type": "dict",
                "options": {
                    "token": {"type": "str", "required": True, "no_log": False},
                    "seconds": {"type": "int", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        result = ensure(module)
    except (_bridges.BridgeError, _links.LinkError, _files.FileError, EngineError, GuardError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
