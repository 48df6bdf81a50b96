#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_host
short_description: Declare hosts in the CMDB, and move their state
version_added: 0.1.0
description:
  - Declares any number of hosts, changes their fields or state, or removes them, in one transaction with
    who and why
    in the change log.
  - What is left out stays as it is, and an empty text empties an optional field. Without O(role) and
    O(address)
    the hosts must be known already. A new host needs both.
  - A move that a host's present state does not allow is refused, and then none of the hosts changes.
options:
  names:
    description:
      - Names of the hosts. All of them get the fields that follow.
    type: list
    elements: str
    required: true
    aliases: [name]
  state:
    description:
      - The state to move to; a new host is V(planned).
      - V(absent) removes the declaration with what belongs to it, such as addresses and disks. A host that
        served
        is better V(retired), which keeps its history.
    type: str
    choices: [planned, provisioning, active, maintenance, quarantined, retired, absent]
  only_from:
    description:
      - Change only hosts that are in one of these states and leave the others as they are.
    type: list
    elements: str
    choices: [planned, provisioning, active, maintenance, quarantined, retired]
  foretold:
    description:
      - What an earlier task of the same playbook returned as RV(moved). A check moves no host, so these are
        told here as if they were in the first state of O(only_from) by now. Without check mode it means
        nothing.
    type: list
    elements: str
    default: []
  role:
    description: The role, for instance V(docker).
    type: str
  model:
    description: The hardware model.
    type: str
  rack:
    description: The rack, as V(idc/room/rack).
    type: str
  unit:
    description: The lowest unit of the rack that it occupies; its model says how many it takes.
    type: int
  address:
    description: The management address, at which it is reached. Its prefix must be declared.
    type: str
  serial:
    description: The serial number.
    type: str
  asset_tag:
    description: The asset tag.
    type: str
  ssh:
    description: How it is reached. Parts that are left out stay as they are.
    type: dict
    suboptions:
      user:
        description: The user.
        type: str
      port:
        description: The port.
        type: int
      via:
        description: The bastion host.
        type: str
  nics:
    description: All network ports; those that are not listed are removed.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name that the system gives it.
        type: str
        required: true
      mac:
        description: The MAC address.
        type: str
      speed_mbps:
        description: The speed, in megabits a second.
        type: int
      attrs:
        description: Free fields, as a whole.
        type: dict
  block_devices:
    description: All raw disks; those that are not listed are removed. Each has a path, a serial number or
      a WWN.
    type: list
    elements: dict
    suboptions:
      path:
        description: A stable path below C(/dev).
        type: str
      serial:
        description: The serial number.
        type: str
      wwn:
        description: The world wide name.
        type: str
      purpose:
        description: What it is for.
        type: str
        choices: [docker-data, app-volume, raw, spare]
        required: true
      filesystem:
        description: The file system that is made on it.
        type: str
        choices: [xfs, ext4]
      mount:
        description: Where it is mounted, an absolute path. Only for V(app-volume).
        type: str
      uuid:
        description: The UUID of the file system that was made on it; by that the disk is known to be ours.
        type: str
      app:
        description: The app that it is for.
        type: str
      attrs:
        description: Free fields, as a whole.
        type: dict
  bridges:
    description: All bridges for containers; those that are not listed are removed.
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the interface, of at most 15 characters.
        type: str
        required: true
      mode:
        description:
          - With V(nat), the ports of containers are published on the host's address.
          - With V(uplink), the bridge takes over O(bridges[].nic) and its address, and containers get
            addresses of the IDC.
        type: str
        choices: [nat, uplink]
        required: true
      nic:
        description: The network port that an V(uplink) takes over.
        type: str
      containers:
        description: The aggregate that the host's own subnet is carved from. Required for V(uplink).
        type: str
      length:
        description: The length of that subnet's prefix. Without it V(28) for V(uplink) and V(24) for V(nat).
        type: int
      mtu:
        description: The MTU in bytes. Without it that of the network port.
        type: int
      ipv6:
        description: An IPv6 prefix for containers.
        type: str
      attrs:
        description: Free fields, as a whole.
        type: dict
  tags:
    description: All tags; those that are not listed are removed.
    type: list
    elements: str
  attrs:
    description: Free fields, as a whole. M(dianrong.cloud.cmdb_object) sets parts of them.
    type: dict
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.version
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: A new host
  dianrong.cloud.cmdb_host:
    name: dk-07
    role: docker
    rack: bj1/r1/a01
    address: 10.90.0.17
    ssh: {user: ops, via: bastion-01}
    block_devices:
      - {path: /dev/sdb, purpose: docker-data, filesystem: xfs}
      - {path: /dev/sdc, purpose: app-volume, filesystem: ext4, mount: /srv/redis, app: redis}
    bridges:
      - {name: br0, mode: uplink, nic: eth0, containers: 10.90.0.128/25}
    reason: delivered
    ticket: CHG-1042

- name: New hosts are in service
  dianrong.cloud.cmdb_host:
    names: "{{ ansible_play_hosts }}"
    only_from: [provisioning]
    state: active
    reason: provisioned
  run_once: true
"""

RETURN = r"""
changes:
  description: What changed, or in check mode would, object by object, with the fields that differ.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      action: update
      before: {rack: bj1/r1/a01}
      after: {rack: bj1/r1/a02}
objects:
  description: The objects as they are then, each with its kind, natural key, version and fields.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      version: 3
      fields: {name: dk-01, role: docker}
moved:
  description: Hosts that moved to another state, or in check mode would.
  returned: success
  type: list
  elements: str
  sample: [dk-01, dk-02]
"""
