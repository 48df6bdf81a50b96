#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compliance_evidence
short_description: Collect what compliance controls need to know about a Docker host
version_added: 0.1.0
description:
  - Reads, in one pass, the Docker Engine, its process, its listeners, its configuration and its files.
  - Changes nothing, runs nothing in a container, and does not wake an engine that is stopped.
  - A part that could not be read is named in RV(evidence.unread) with the reason.
  - Values of environment variables, foreign labels and credentials in arguments or C(daemon.json) stay out.
author:
  - drCloud contributors (@dianrong)
options:
  socket:
    description: The Unix socket of the engine.
    type: path
    default: /var/run/docker.sock
  max_objects:
    description: How many containers, images and networks are read at most, of each.
    type: int
    default: 1000
  max_bytes:
    description: How many bytes the evidence may have; images, then networks, then containers are dropped.
    type: int
    default: 4194304
  timeout:
    description: How long to wait for one answer of the engine, in seconds.
    type: int
    default: 20
extends_documentation_fragment:
  - dianrong.cloud._attributes.info
notes:
  - Needs root, to see the sockets of the daemon and files that only root may read.
  - Uses Python's standard library only.
seealso:
  - module: dianrong.cloud.compliance_check
"""

EXAMPLES = r"""
- name: See what the controls see
  dianrong.cloud.compliance_evidence:
  become: true
  register: compliance

- name: Show the parts that could not be read
  ansible.builtin.debug:
    var: compliance.evidence.unread
"""

RETURN = r"""
evidence:
  description: What was seen.
  returned: success
  type: dict
  contains:
    schema:
      description: The version of this document's shape.
      type: int
      sample: 1
    engine:
      description: V(present), V(absent), V(stopped) or V(silent).
      type: str
      sample: present
    daemon:
      description: The process behind the socket, how it was found, its arguments, its unit.
      type: dict
    config:
      description: The daemon's configuration file, null when there is none.
      type: dict
    info:
      description: What the engine reports as effective.
      type: dict
    listeners:
      description: TCP listeners of the daemon and on 2375 and 2376, with a handshake made on the host.
      type: list
      elements: dict
    socket_units:
      description: The systemd socket units that start the daemon.
      type: list
      elements: dict
    containers:
      description: All containers, stopped ones too.
      type: list
      elements: dict
    images:
      description: Images by tag and digest.
      type: list
      elements: dict
    networks:
      description: Networks with driver and options.
      type: list
      elements: dict
    files:
      description: Owner, group and octal mode by path.
      type: dict
    audit_rules:
      description: Rules of auditd on disk.
      type: list
      elements: str
    docker_group:
      description: The group that may use the socket and its members.
      type: dict
    unread:
      description: The parts that could not be read, and why.
      type: dict
      sample:
        containers: "1203 containers, only the first 1000 were read"
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_daemon import (
    ProcessTable,
    find_daemon,
    mask_document,
    read_daemon,
    read_listeners,
    socket_units,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_engine import (
    Engine,
    EngineError,
    read_containers,
    read_images,
    read_info,
    read_networks,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_files import (
    describe_files,
    read_audit_rules,
    read_config,
    read_group,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._remote_api import handshake

SCHEMA = 1
LISTS = ("listeners", "socket_units", "containers", "images", "networks", "audit_rules")
UNIT_PROPERTIES = "Id,Listen,Triggers,FragmentPath,DropInPaths,ActiveState"
DROPPED_FIRST = ("images", "networks", "containers")
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "localhost"}  # noqa: S104 (nothing is bound here)


class Collector:
    """Reads part after part; what fails is noted with its reason and never stops the rest."""

    def __init__(self, module):
        """Start with empty evidence."""
        self.module = module
        self.processes = ProcessTable()
        self.pid = None
        self.unread = {}
        self.evidence = {
            "schema": SCHEMA,
            "socket": module.params["socket"],
            "engine": "absent",
            **dict.fromkeys(("daemon", "config", "info", "docker_group")),
            **{part: [] for part in LISTS},
            "files": {},
            "unread": self.unread,
        }

    def attempt(self, part, read, *arguments):
        """Put what C(read) returns into the evidence, or the reason why it could not be read."""
        try:
            self.evidence[part] = read(*arguments)
        except (OSError, ValueError, KeyError, TypeError, EngineError) as error:
            self.unread[part] = str(error) or type(error).__name__

    def collect(self):
        """Return the evidence of this host."""
        self.attempt("engine", self.find_engine)
        self.attempt("socket_units", self.read_socket_units)
        if self.pid:
            self.attempt("config", lambda: mask_document(read_config(self.config_path())))
        self.attempt("listeners", self.read_listeners)
        if "engine" in self.unread:
            self.evidence["engine"] = "silent"
        elif self.evidence["engine"] == "present":
            self.read_engine()
        self.attempt("files", lambda: describe_files(self.paths()))
        self.attempt("audit_rules", read_audit_rules)
        self.attempt("docker_group", read_group, "docker")
        self.shrink()
        return self.evidence

    def find_engine(self):
        """Find the daemon behind the socket and tell whether there is one."""
        if not os.path.exists(self.evidence["socket"]):
            return "absent"
        try:
            self.pid, how = find_daemon(self.processes, self.evidence["socket"])
        except ConnectionRefusedError:
            return "stopped"
        if self.pid:
            self.attempt("daemon", read_daemon, self.processes, self.pid, how)
        elif how == "only init holds the socket":
            return "stopped"
        else:
            self.unread["daemon"] = how
        return "present"

    def read_engine(self):
        """Ask the engine for what it runs."""
        engine = Engine(self.evidence["socket"], self.module.params["timeout"])
        self.attempt("info", read_info, engine)
        for part, read in (
            ("containers", read_containers),
            ("images", read_images),
            ("networks", read_networks),
        ):
            self.attempt(part, self.read_list, part, read, engine)

    def read_list(self, part, read, engine):
        """Read one kind of object and note when not all of them were read."""
        objects, reason = read(engine, self.module.params["max_objects"])
        if reason:
            self.unread[part] = reason
        return objects

    def read_socket_units(self):
        """Ask systemd which sockets start the daemon; hosts without systemd have none."""
        if not os.path.isdir("/run/systemd/system"):
            return []
        unit = (self.evidence["daemon"] or {}).get("unit") or "docker.service"
        command = ["systemctl", "show", "--property", UNIT_PROPERTIES, "*.socket", unit]
        status, output, errors = self.module.run_command(command)
        if status != 0:
            raise ValueError(f"systemctl show: {errors.strip()}")
        units = socket_units(output)
        return [
            found for found in units if unit in found["triggers"] or found["unit"] in (unit, "docker.socket")
        ]

    def read_listeners(self):
        """Read the TCP listeners and shake hands with each, as a stranger on this host would.

        What systemd holds for a stopped engine is left alone: a connection would start it.
        """
        listeners = read_listeners(self.processes, self.pid)
        for listener in listeners:
            if self.evidence["engine"] == "stopped" and listener["owner"] == "systemd":
                listener["handshake"] = None
                continue
            address = EVERYWHERE.get(listener["address"], listener["address"])
            seen = handshake(address, listener["port"])
            listener["handshake"] = {
                "state": seen["state"],
                "detail": seen["detail"],
                "engine": seen["engine"],
            }
        return listeners

    def config_path(self):
        """Return the path of the daemon's configuration file, which an argument may move."""
        return self.option("config-file") or "/etc/docker/daemon.json"

    def argv(self):
        """Return the daemon's arguments, none when they are not known."""
        return (self.evidence["daemon"] or {}).get("argv") or []

    def option(self, name):
        """Return the value of a daemon argument, in either way of writing it."""
        argv = self.argv()
        for index, argument in enumerate(argv):
            if argument == f"--{name}" and index + 1 < len(argv):
                return argv[index + 1]
            if argument.startswith(f"--{name}="):
                return argument.partition("=")[2]
        return None

    def paths(self):
        """Return the files that matter on this host beside the fixed ones."""
        config = self.evidence["config"] or {}
        tls = [self.option(name) or config.get(name) for name in ("tlscacert", "tlscert", "tlskey")]
        hosts = list(config.get("hosts") or [])
        hosts += [word[word.index("unix://") :] for word in self.argv() if "unix://" in word]
        sockets = [host[len("unix://") :] for host in hosts if str(host).startswith("unix://")]
        units = [path for unit in self.evidence["socket_units"] for path in [unit["path"], *unit["drop_ins"]]]
        paths = [self.config_path(), self.evidence["socket"], *tls, *sockets, *units]
        return [path for path in paths if path]

    def shrink(self):
        """Keep the evidence inside its bound, and say what had to go."""
        for part in DROPPED_FIRST:
            size = len(json.dumps(self.evidence))
            if size <= self.module.params["max_bytes"]:
                return
            self.evidence[part] = []
            self.unread[part] = (
                f"dropped: the evidence had {size} bytes, {self.module.params['max_bytes']} are allowed"
            )


def main():
    """Collect and leave."""
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "default": "/var/run/docker.sock"},
            "max_objects": {"type": "int", "default": 1000},
            "max_bytes": {"type": "int", "default": 4194304},
            "timeout": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, evidence=Collector(module).collect())


if __name__ == "__main__":
    main()
