#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Configure the Docker Engine of a host and have it run with that
version_added: 0.1.0
description:
  - Writes C(daemon.json) from declared options and makes sure that the engine is enabled, runs, and has
    taken the options over.
  - The options are validated before they replace anything. Engines from 23 on do it themselves; for older
    ones the options that the installed engine lists in C(dockerd --help) are the known ones. An unknown
    option is refused by name.
  - The engine is reloaded where that is enough and restarted only where needed; O(ignore:reasons) in the
    result says which and why.
  - An engine that does not come up with the new options gets its old file back, and the task fails with
    what the engine said.
  - What the running engine has loaded is remembered in C(/var/lib/drcloud/docker/daemon.applied.json), so
    an interrupted run is completed by the next one.
  - On a host without an engine, check mode cannot validate the options yet.
options:
  options:
    description:
      - The whole content of C(daemon.json). An option that is not given is removed from the file.
    type: dict
    required: true
  path:
    description:
      - The file.
    type: path
    default: /etc/docker/daemon.json
  backup:
    description:
      - Keep the replaced file next to the new one, with the time in its name.
    type: bool
    default: true
  unit:
    description:
      - The engine's systemd unit.
    type: str
    default: docker.service
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
seealso:
  - name: dockerd reference
    description: All options of daemon.json and which of them a reload takes over.
    link: https://docs.docker.com/reference/cli/dockerd/
"""

EXAMPLES = r"""
- name: Containers survive a restart of the engine and log to the journal
  dianrong.cloud.docker_daemon_config:
    options:
      live-restore: true
      log-driver: journald
"""

RETURN = r"""
action:
  description: What the engine needed. One of V(none), V(start), V(reload), V(restart).
  returned: success
  type: str
  sample: restart
reasons:
  description: Why, one sentence per option.
  returned: success
  type: list
  elements: str
  sample: ['log-driver: "json-file" -> "journald": needs a restart']
backup_file:
  description: Where the replaced file was kept.
  returned: when a file was replaced and O(backup=true)
  type: str
  sample: /etc/docker/daemon.json.1234.2026-11-22@17:35:01~
engine_version:
  description: Version of the installed engine, empty when there is none yet.
  returned: when something changed, or would in check mode
  type: str
  sample: 20.10.24+dfsg1
"""

import json
import os
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _daemon, _engine, _files, _units

STAMP = "/var/lib/drcloud/docker/daemon.applied.json"
PATIENCE = 10.0


class Daemon:
    """The engine of this host and its configuration file."""

    def __init__(self, module):
        self.module = module
        self.path = module.params["path"]
        self.wanted = module.params["options"]
        self.unit = _units.read(module, module.params["unit"])
        self.found = _files.read(self.path)
        self.current = self.found.content.decode("utf-8", "replace") if self.found else None

    def applied(self):
        """Return the options that the running engine has loaded, None when nobody knows."""
        stamp = _daemon.parse(_text(STAMP))
        if stamp and stamp.get("invocation") == self.unit.invocation:
            return stamp.get("options")
        try:
            newer = os.stat(self.path).st_mtime > _units.started_at(self.unit)
        except FileNotFoundError:
            newer = False
        return None if newer else _daemon.parse(self.current)

    def version(self):
        """Return the installed engine's version, empty when there is none."""
        program = self.module.get_bin_path("dockerd", opt_dirs=["/usr/sbin"])
        if program is None:
            return ""
        output = self.module.run_command([program, "--version"])[1]
        return output.partition("version ")[2].partition(",")[0].strip()

    def validate(self, version):
        """Refuse options that the installed engine would refuse, naming them."""
        program = self.module.get_bin_path("dockerd", required=True, opt_dirs=["/usr/sbin"])
        help_text = self.module.run_command([program, "--help"])[1]
        if _daemon.can_validate(help_text):
            self._ask_engine(program)
        command_line = " ".join([self.unit.command, _text("/etc/default/docker", comments=False)])
        given = _daemon.given_flags(command_line)
        said = _daemon.complaints(self.wanted, _daemon.known_options(help_text), given, version)
        if said:
            self.module.fail_json(msg=f"{self.path}: " + "; ".join(said) + "; the file was not touched")

    def _ask_engine(self, program):
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self.module.tmpdir) as candidate:
            candidate.write(_daemon.render(self.wanted))
            candidate.flush()
            code, output, errors = self.module.run_command(
                [program, "--validate", "--config-file", candidate.name]
            )
        if code:
            said = (errors or output).strip()
            self.module.fail_json(
                msg=f"{self.path}: the engine refuses the options: {said}; the file was not touched"
            )

    def carry_out(self, plan, steps):
        """Write the file and have the engine follow it; return where the old file was kept."""
        backup = self._write(plan) if plan.rewrite else None
        self._follow(plan, steps)
        return backup

    def _write(self, plan):
        keep = self.found is not None and self.module.params["backup"]
        backup = self.module.backup_local(self.path) if keep else None
        _files.write(_files.Wanted(self.path, plan.content.encode()))
        return backup

    def _follow(self, plan, steps):
        if plan.reload_first:
            self.module.run_command(["systemctl", "reload", self.unit.name])
        if steps.daemon_reload:
            self.module.run_command(["systemctl", "daemon-reload"])
        if steps.enable:
            self.module.run_command(["systemctl", "enable", "--quiet", self.unit.name], check_rc=True)
        self.module.run_command(["systemctl", "reset-failed", self.unit.name])
        if plan.action != "none" and self.module.run_command(["systemctl", plan.action, self.unit.name])[0]:
            self._go_back(plan)
        self._await_honoured()
        self._remember()

    def _go_back(self, plan):
        said = _units.last_words(self.module, self.unit.name)
        outcome = "the file was new, nothing to go back to"
        if plan.rewrite and self.found is not None:
            _files.write(_files.Wanted(self.path, self.found.content, mode=self.found.mode))
            self.module.run_command(["systemctl", "reset-failed", self.unit.name])
            code = self.module.run_command(["systemctl", "restart", self.unit.name])[0]
            outcome = "the old file is back, " + (
                "but the engine is down" if code else "and the engine runs with it"
            )
        self.module.fail_json(msg=f"the engine did not {plan.action} with {self.path}: {said}; {outcome}")

    def _await_honoured(self):
        deadline = time.monotonic() + PATIENCE
        while missed := self._missed():
            if time.monotonic() > deadline:
                self.module.fail_json(msg="; ".join(missed))
            time.sleep(0.2)

    def _missed(self):
        try:
            return _daemon.not_honoured(self.wanted, _engine.Engine().info())
        except _engine.EngineError as error:
            return [str(error)]

    def _remember(self):
        invocation = _units.read(self.module, self.unit.name).invocation
        stamp = json.dumps({"invocation": invocation, "options": self.wanted}, sort_keys=True)
        _files.write(_files.Wanted(STAMP, stamp.encode() + b"\n"))


def _text(path, comments=True):
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = text.splitlines()
    return "\n".join(line for line in lines if comments or not line.lstrip().startswith("#"))


def ensure(module):
    """Read, plan, apply; return the task's result."""
    daemon = Daemon(module)
    plan = _daemon.plan(
        daemon.wanted, daemon.current, daemon.applied() if daemon.unit.active else None,
        daemon.unit.active, unit_changed=daemon.unit.stale,
    )  # fmt: skip
    steps = _units.Steps(daemon.unit.stale, not daemon.unit.enabled, plan.action)
    if not (plan.rewrite or steps.changed):
        return {"changed": False, "action": "none", "reasons": []}
    version = daemon.version()
    if version:
        daemon.validate(version)
    elif not module.check_mode:
        module.fail_json(msg="no Docker Engine is installed; run the role dianrong.cloud.docker_engine")
    backup = None if module.check_mode else daemon.carry_out(plan, steps)
    return {
        "changed": True,
        "action": plan.action,
        "reasons": list(plan.reasons),
        "engine_version": version,
        "diff": _diff(daemon, plan, steps),
        **({"backup_file": backup} if backup else {}),
    }


def _diff(daemon, plan, steps):
    files = {
        "before_header": daemon.path,
        "after_header": daemon.path,
        "before": daemon.current or "",
        "after": plan.content,
    }
    before = {"active": daemon.unit.active, "enabled": daemon.unit.enabled}
    after = {"active": True, "enabled": True}
    if steps.changed:
        after["action"] = plan.action
        after["reasons"] = list(plan.reasons)
    unit = {
        "before_header": daemon.unit.name,
        "after_header": daemon.unit.name,
        "before": before,
        "after": after,
    }
    return [part for part, differs in ((files, plan.rewrite), (unit, steps.changed)) if differs]


def main():
    module = AnsibleModule(
        argument_spec={
            "options": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "backup": {"type": "bool", "default": True},
            "unit": {"type": "str", "default": "docker.service"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _files.FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
