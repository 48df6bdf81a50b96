#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_survey
short_description: Read what a host has that somebody else set up
version_added: 0.1.0
description:
  - Reads engine, Docker networks, containers of anybody, and disks with what they carry and who uses them.
  - Of containers the names of variables are told, and never their values; commands and labels not at all.
    Whatever was passed to a container by hand may be a secret.
  - Reads the beginning of each disk. Changes nothing, installs nothing.
options:
  socket:
    description: The engine's socket.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.host_adopt
  - module: dianrong.cloud.host_facts
"""

EXAMPLES = r"""
- name: See what runs there
  dianrong.cloud.host_survey:
  become: true
  register: found
"""

RETURN = r"""
survey:
  description: What is there.
  returned: success
  type: dict
  contains:
    engine:
      description: Version, data root, live-restore and swarm of the engine; null where none answers.
      type: dict
      sample: {version: 20.10.24+dfsg1, data_root: /var/lib/docker, live_restore: false, swarm: false}
    networks:
      description: The Docker networks that are not the engine's own, each with its bridge and its containers.
      type: list
      elements: dict
    containers:
      description: All containers, running or not.
      type: list
      elements: dict
    disks:
      description: The disks, each with its file system, where it is mounted and who uses it.
      type: list
      elements: dict
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _disks,
    _host_survey,
    _signatures,
    _storage_look,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError
from ansible_collections.dianrong.cloud.plugins.module_utils._nodes import device_paths


def engine(given):
    """Return what the engine is, and None for one that does not answer."""
    try:
        info = given.info()
    except EngineError:
        return None
    return {
        "version": info.get("ServerVersion"),
        "data_root": info.get("DockerRootDir"),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "swarm": (info.get("Swarm") or {}).get("LocalNodeState", "inactive") != "inactive",
    }


def members(sysfs="/sys"):
    """Return the interfaces of each Linux bridge, by its name."""
    found = sorted(Path(sysfs, "class/net").glob("*/brif"))
    return {path.parent.name: sorted(os.listdir(path)) for path in found}


def contents(given):
    """Return the networks and the containers of an engine."""
    containers = given.everybody()
    images = {}
    for one in containers:
        if one["Image"] not in images:
            images[one["Image"]] = given.image(one["Image"])
    users, bridges = _host_survey.users(containers), members()
    networks = [
        _host_survey.network(one, users.get(one["Name"], ()), bridges)
        for one in given.network_list()
        if one["Name"] not in _host_survey.PREDEFINED
    ]
    told = [_host_survey.container(one, images[one["Image"]]) for one in containers]
    return sorted(networks, key=lambda one: one["name"]), sorted(told, key=lambda one: one["name"])


def disk(found, paths, mounts):
    """Return one disk; what cannot be read carries nothing that is known."""
    node = _host_survey.stable(paths)
    try:
        with _storage_look.reader(node) as read:
            file_system = _signatures.file_system(read)
    except OSError:
        file_system = None
    return _host_survey.disk(found, paths, file_system, mounts, _disk_uses.uses(found, node, mounts))


def disks():
    """Return the disks of this host."""
    paths, mounts = device_paths(), _disk_uses.all_mounts()
    return [
        disk(one, paths[one.numbers], mounts)
        for one in _disks.read_disks()
        if _host_survey.is_disk(one, paths.get(one.numbers, ()))
    ]


def main():
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={"socket": {"type": "path", "default": "/var/run/docker.sock"}},
        supports_check_mode=True,
    )
    given = Engine(module.params["socket"])
    there = engine(given)
    try:
        networks, containers = contents(given) if there is not None else ([], [])
    except EngineError as error:
        module.fail_json(msg=str(error))
    survey = {"engine": there, "networks": networks, "containers": containers, "disks": disks()}
    module.exit_json(changed=False, survey=survey)


if __name__ == "__main__":
    main()
