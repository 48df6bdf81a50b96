#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_zones
short_description: Let each zone of the network use what it may on a host, and nothing else
version_added: 0.1.0
description:
  - Turns zones and services into one table of nftables, C(inet drcloud), which is replaced in one
    transaction, is loaded at boot before the network, and is the only thing touched. The tables of Docker and
    of others are neither read nor written.
  - An address belongs to the zone with the longest prefix around it. An address in no zone may use nothing.
  - A port that a container publishes is guarded like one of the host, by the port that the client asked for.
    What a container does not publish is closed to everybody outside the host.
  - A firewall that would not let in the SSH connection that this very task came over is refused before
    anything changes. One that does so all the same, by rules of one's own for instance, is undone by the host
    itself, because it has to be confirmed over a fresh connection.
  - A rule that was added to our table or removed from it by hand is seen, also in check mode, and put right.
  - A host that has a firewall loses it with O(absent) only. That no zones are known is no wish, and refused.
options:
  zones:
    description:
      - The parts of the network. Without any, a host gets no firewall; one that has a firewall is refused.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the zone.
        type: str
        required: true
      prefixes:
        description: Where it is, in CIDR notation.
        type: list
        elements: str
        default: []
      allows:
        description: The services that it may use; of O(services), or V(ping) or V(vrrp).
        type: list
        elements: str
        default: []
  services:
    description:
      - What the services are on this host, name to list of ports. A port is a number, for TCP, or a text such
        as V(123/udp). A service with an empty list is known but not here.
    type: dict
    required: true
  address:
    description:
      - The host's own address. Containers appear elsewhere as their host, so on it they may use what its zone
        may, as far as O(container_services) goes.
    type: str
    required: true
  bridges:
    description:
      - Bridges of containers, as the CMDB declares them. Containers on an uplink have addresses of their own;
        zones that may use V(apps) reach them at any port.
      - Of each, its C(name), its C(mode) V(nat) or V(uplink) and the networks C(containers) and C(ipv6) in
        CIDR notation are read.
    type: list
    elements: dict
    default: []
  container_interfaces:
    description:
      - Interfaces of containers behind NAT; V(br-*) stands for all that begin so.
    type: list
    elements: str
    default: [docker0, br-*]
  container_services:
    description:
      - What containers of this host may use of it at most.
    type: list
    elements: str
    default: [apps, ping]
  extra_rules:
    description:
      - Lines of nftables for packets to the host itself, before the zones and after the answers to what the
        host asked.
    type: list
    elements: str
    default: []
  absent:
    description:
      - Take the firewall away, whatever the other options say. What listens on the host is open then to all.
    type: bool
    default: false
  confirm_within:
    description:
      - How many seconds the controller has to confirm a change over a fresh connection.
    type: int
    default: 30
  guard:
    description:
      - Given by the action itself.
    type: dict
    suboptions:
      token:
        description: The change.
        type: str
        required: true
      seconds:
        description: How long it waits for its confirmation.
        type: int
        required: true
requirements:
  - The packages C(nftables), C(systemd) and C(util-linux) on the host.
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: The office may look, the bastion may work
  dianrong.cloud.firewall_zones:
    address: "{{ ansible_host }}"
    zones:
      - {name: office, prefixes: [10.0.0.0/8], allows: [apps, ping]}
      - {name: bastion, prefixes: [10.90.0.5/32], allows: [ssh, ping]}
    services:
      ssh: [22]
      apps: [20000, 20001]

- name: This host lies behind a firewall of others
  dianrong.cloud.firewall_zones:
    address: "{{ ansible_host }}"
    zones: []
    services: {}
    absent: true
"""

RETURN = r"""
guarded:
  description: Whether the change waits for its confirmation. The action confirms it.
  returned: success
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _files,
    _firewall,
    _firewall_host,
    _guard,
    _nftables,
    _ssh_peer,
)

GUARD = "firewall"
ZONE = {
    "name": {"type": "str", "required": True},
    "prefixes": {"type": "list", "elements": "str", "default": []},
    "allows": {"type": "list", "elements": "str", "default": []},
}
PENDING = {
    "token": {"type": "str", "required": True, "no_log": False},
    "seconds": {"type": "int", "required": True},
}
SPEC = {
    "zones": {"type": "list", "elements": "dict", "required": True, "options": ZONE},
    "services": {"type": "dict", "required": True},
    "address": {"type": "str", "required": True},
    "bridges": {"type": "list", "elements": "dict", "default": []},
    "container_interfaces": {"type": "list", "elements": "str", "default": ["docker0", "br-*"]},
    "container_services": {"type": "list", "elements": "str", "default": ["apps", "ping"]},
    "extra_rules": {"type": "list", "elements": "str", "default": []},
    "absent": {"type": "bool", "default": False},
    "confirm_within": {"type": "int", "default": 30},
    "guard": {"type": "dict", "options": PENDING},
}


def wanted(given):
    """Return the text of the firewall that the options ask for, or None for no firewall.

    Raises:
        FirewallError: it makes no sense, or locks out the connection that asks for it.
    """
    if given["absent"] or not given["zones"]:
        return None
    made = _firewall.plan(
        given["zones"],
        given["services"],
        given["address"],
        bridges=given["bridges"],
        interfaces=given["container_interfaces"],
        container_services=given["container_services"],
        extra_rules=given["extra_rules"],
    )
    peer = _ssh_peer.find()
    why = _firewall.objection(made, *peer) if peer else None
    if why:
        raise _firewall.FirewallError(
            f"the firewall of {given['address']} would lock this controller out: {why}; declare a zone for "
            "it that allows ssh. Nothing was changed"
        )
    return _nftables.render(made)


def change(module, guard, before, steps, table):
    """Take the steps under the guard; undo them at once when they fail half-way."""
    pending = module.params["guard"]
    if table is None or pending is None:
        _firewall_host.apply(module, before, steps, table)
        return False
    token = pending["token"]
    guard.arm(token, _firewall_host.way_back(before), pending["seconds"])
    try:
        _firewall_host.apply(module, before, steps, table)
    except BaseException:
        guard.fire(token)
        raise
    guard.applied(token)
    return True


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    text = wanted(given)
    guard = _guard.Guard(GUARD)
    if not module.check_mode:
        guard.settle()
    before = _firewall_host.read(module)
    if not given["zones"] and not given["absent"]:
        _firewall_host.refuse_loss(before)
    # Where nftables is still going to be installed there is nothing to rehearse with.
    known = text is not None and _firewall_host.installed()
    table = _firewall_host.rehearse(module, text) if known else text
    steps = _firewall_host.decide(before, text, table)
    result = {"changed": steps.changed, "diff": _firewall_host.diff(before, steps, table), "guarded": False}
    if steps.changed and not module.check_mode:
        result["guarded"] = change(module, guard, before, steps, table)
    return result


def main():
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        module.exit_json(**ensure(module))
    except (
        _files.FileError,
        _firewall.FirewallError,
        _firewall_host.HostError,
        _guard.GuardError,
    ) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
