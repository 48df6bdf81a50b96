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
  - The options are validated before they replace anything. Engines from 23 on do it themselves; what they
    overlook, and all of it for older ones, is held against the options that the installed engine lists in
    C(dockerd --help). An unknown option is refused by name.
  - The engine is reloaded where that is enough and restarted only where needed; O(ignore:reasons) in the
    result says which and why. Certificates, the systemd unit or the program itself that are newer than the
    running engine are reasons, too.
  - Before a restart the engine is told of C(live-restore) where it does not know yet, and the restart waits
    until it does, so that containers go on.
  - An engine that does not come up gets its old files back, and the task fails with what the engine said.
  - What the running engine has loaded is remembered in C(/var/lib/drcloud/docker/daemon.applied.json), so
    an interrupted run is completed by the next one.
  - Where the options hold C(hosts), a drop-in calls the engine without the C(-H) of its package, for the
    engine refuses both. TCP listeners are refused unless they ask for client certificates.
  - On a host without an engine, check mode cannot validate the options yet.
options:
  options:
    description:
      - The whole content of C(daemon.json). An option that is not given is removed from the file.
    type: dict
    required: true
  path:
    description:
      - The file. What it replaces is kept beside it with the suffix C(.previous).
    type: path
    default: /etc/docker/daemon.json
  environment:
    description:
      - Variables of the engine's environment, as E(HTTPS_PROXY). Everybody on the host can read them.
    type: dict
    default: {}
  because:
    description:
      - More reasons for a restart, which the host does not show. Without any, it is restarted only where the
        module sees one.
    type: list
    elements: str
    default: []
  unused:
    description:
      - Files that the engine reads with other options only, as the certificate of a Remote API. Those that
        are there come back in RV(unused), to be removed now that the engine runs without them.
    type: list
    elements: path
    default: []
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
  returned: when a file was replaced
  type: str
  sample: /etc/docker/daemon.json.previous
unused:
  description: The files of O(unused) that are there.
  returned: success
  type: list
  elements: str
  sample: [/etc/drcloud/engine/tls.pem]
engine_version:
  description: Version of the installed engine, empty when there is none yet.
  returned: when something changed, or would in check mode
  type: str
  sample: 20.10.24+dfsg1
"""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _daemon,
    _engine,
    _engine_unit,
    _files,
    _units,
)

STAMP = "/var/lib/drcloud/docker/daemon.applied.json"
DEFAULTS = "/etc/default/docker"
PREVIOUS = ".previous"
PATIENCE = 10.0
UNIT_REASON = "the engine's command line or environment changes: needs a restart"
PROGRAM_REASON = "the running engine is not the installed one any more: needs a restart"


class Daemon:
    """The engine of this host, its configuration file and our drop-in of its unit."""

    def __init__(self, module):
        self.module = module
        self.path = module.params["path"]
        self.wanted = module.params["options"]
        self.unit = _units.read(module, module.params["unit"])
        self.found = _files.read(self.path)
        self.current = self.found.content.decode("utf-8", "replace") if self.found else None
        self.stamp = _daemon.parse(_text(STAMP)) or {}
        self.unit_files = _engine_unit.read(self.unit.name)
        self.drop_in = _engine_unit.drop_in_path(self.unit.name)
        self.drop_in_text = _engine_unit.drop_in(
            self.unit_files, "hosts" in self.wanted, module.params["environment"]
        )

    def plan(self):
        """Return what makes files and engine as wanted."""
        applied = self.applied() if self.unit.active else None
        return _daemon.plan(self.wanted, self.current, applied, self.unit.active, tuple(self.because()))

    def applied(self):
        """Return the options that the running engine has loaded, None when nobody knows."""
        if self.on_record():
            return self.stamp.get("options")
        return None if self._newer(self.path) else _daemon.parse(self.current)

    def on_record(self):
        """Whether our record is of the engine that runs."""
        return bool(self.stamp) and self.stamp.get("invocation") == self.unit.invocation

    def because(self):
        """Return the reasons for a restart that are not in daemon.json."""
        yield from self.module.params["because"]
        if self.unit.stale or self.drop_in_changes():
            yield UNIT_REASON
        for path in self._newer_files():
            if path != self.drop_in or not self.drop_in_changes():
                yield f"{path} is newer than the running engine: needs a restart"
        if self._program_replaced():
            yield PROGRAM_REASON

    def _newer_files(self):
        recorded = self.stamp.get("files") if self.on_record() else None
        digests = self.start_files()
        if recorded is not None:
            return _daemon.newer_files(recorded, digests)
        # Without a record of these, as of an engine that somebody else started, their times have to do.
        return [path for path in digests if self._newer(path)]

    def start_files(self):
        """Return the digests of the files that the engine and its unit read only when they start."""
        paths = [*self.unit_files.paths(), *_daemon.start_files(self.wanted)]
        return {path: _digest(path) for path in paths}

    def drop_in_changes(self):
        """Whether our drop-in has to be written or removed."""
        return self.unit_files.drop_ins.get(self.drop_in) != self.drop_in_text

    def _newer(self, path):
        try:
            return os.stat(path).st_mtime > _units.started_at(self.unit)
        except FileNotFoundError:
            return False

    def _program_replaced(self):
        # dpkg puts the new program in the place of the old one, which goes on without a name.
        try:
            return self.unit.pid > 0 and os.readlink(f"/proc/{self.unit.pid}/exe").endswith(" (deleted)")
        except OSError:
            return False

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
        files = _engine_unit.with_drop_in(self.unit_files, self.drop_in, self.drop_in_text)
        command_line = " ".join([_engine_unit.command_line(files), _text(DEFAULTS, comments=False)])
        given = _daemon.given_flags(command_line)
        said = _daemon.complaints(self.wanted, _daemon.known_options(help_text), given, version)
        said += _daemon.exposures(self.wanted)
        lost = [path for path in _daemon.start_files(self.wanted) if not os.path.isfile(path)]
        if not self.module.check_mode:
            said += [f"there is no file {path}" for path in lost]
        if said:
            self.module.fail_json(msg=f"{self.path}: " + "; ".join(said) + "; the file was not touched")
        if _daemon.can_validate(help_text):
            # In a check the files that the engine would look into may not be there yet.
            self._ask_engine(program, _daemon.without_tls(self.wanted) if lost else self.wanted)

    def _ask_engine(self, program, options):
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self.module.tmpdir) as candidate:
            candidate.write(_daemon.render(options))
            candidate.flush()
            code, output, errors = self.module.run_command(
                [program, "--validate", "--config-file", candidate.name]
            )
        if code:
            said = (errors or output).strip().replace(candidate.name, self.path)
            self.module.fail_json(
                msg=f"{self.path}: the engine refuses the options: {said}; the file was not touched"
            )

    def carry_out(self, plan, steps):
        """Write the files and have the engine follow them; return where the old file was kept."""
        if plan.action == "restart":
            self._protect_containers()
        backup = self._write(plan)
        self._follow(plan, steps)
        return backup

    def _protect_containers(self):
        try:
            known = _engine.Engine().info().get("LiveRestoreEnabled")
        except _engine.EngineError:
            return
        options = _daemon.protected(self.wanted, self.applied() or _daemon.parse(self.current))
        if known or options is None:
            return
        self._keep_previous()
        _files.write(_files.Wanted(self.path, _daemon.render(options).encode()))
        said = self.module.run_command(["systemctl", "reload", self.unit.name])[2].strip()
        missed = self._missed_in_time({"live-restore": True})
        if missed:
            self._restore()
            why = "; ".join([said, *missed]).lstrip("; ")
            self.module.fail_json(msg=f"a restart would stop the containers, nothing was changed: {why}")

    def _write(self, plan):
        backup = self._keep_previous() if plan.rewrite else None
        if plan.rewrite or plan.action == "restart":
            _files.write(_files.Wanted(self.path, plan.content.encode()))
        self._write_drop_in(self.drop_in_text)
        return backup

    def _keep_previous(self):
        if self.found is None:
            return None
        kept = _files.Wanted(self.path + PREVIOUS, self.found.content, mode=self.found.mode)
        _files.write(kept)
        return kept.path

    def _write_drop_in(self, text):
        if text is not None:
            _files.write(_files.Wanted(self.drop_in, text.encode()))
        elif os.path.exists(self.drop_in):
            os.unlink(self.drop_in)

    def _follow(self, plan, steps):
        if steps.daemon_reload:
            self.module.run_command(["systemctl", "daemon-reload"])
        if steps.enable:
            self.module.run_command(["systemctl", "enable", "--quiet", self.unit.name], check_rc=True)
        self.module.run_command(["systemctl", "reset-failed", self.unit.name])
        if plan.action != "none" and self.module.run_command(["systemctl", plan.action, self.unit.name])[0]:
            self._go_back(plan)
        missed = self._missed_in_time(self.wanted)
        if missed:
            self.module.fail_json(msg="; ".join(missed))
        self._remember()

    def _go_back(self, plan):
        said = _units.last_words(self.module, self.unit.name)
        outcome = "the file was new, nothing to go back to"
        if self.found is not None:
            self._restore()
            for command in (["daemon-reload"], ["reset-failed", self.unit.name]):
                self.module.run_command(["systemctl", *command])
            code = self.module.run_command(["systemctl", "restart", self.unit.name])[0]
            outcome = "the old file is back, " + (
                "but the engine is down" if code else "and the engine runs with it"
            )
        self.module.fail_json(msg=f"the engine did not {plan.action} with {self.path}: {said}; {outcome}")

    def _restore(self):
        if self.found is not None:
            _files.write(_files.Wanted(self.path, self.found.content, mode=self.found.mode))
        self._write_drop_in(self.unit_files.drop_ins.get(self.drop_in))

    def _missed_in_time(self, options):
        deadline = time.monotonic() + PATIENCE
        while (missed := self._missed(options)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return missed

    def _missed(self, options):
        try:
            return _daemon.not_honoured(options, _engine.Engine().info())
        except _engine.EngineError as error:
            return [str(error)]

    def _remember(self):
        invocation = _units.read(self.module, self.unit.name).invocation
        self.unit_files = _engine_unit.read(self.unit.name)
        stamp = {"invocation": invocation, "options": self.wanted, "files": self.start_files()}
        text = json.dumps(stamp, sort_keys=True) + "\n"
        _files.write(_files.Wanted(STAMP, text.encode()))


def _text(path, comments=True):
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = text.splitlines()
    return "\n".join(line for line in lines if comments or not line.lstrip().startswith("#"))


def _digest(path):
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def ensure(module):
    """Read, plan, apply; return the task's result."""
    unused = [path for path in module.params["unused"] if os.path.lexists(path)]
    daemon = Daemon(module)
    plan = daemon.plan()
    new_drop_in = daemon.drop_in_changes()
    steps = _units.Steps(
        daemon.unit.stale or new_drop_in or plan.action == "restart", not daemon.unit.enabled, plan.action
    )
    if not (plan.rewrite or new_drop_in or steps.changed):
        return {"changed": False, "action": "none", "reasons": [], "unused": unused}
    version = daemon.version()
    if version:
        daemon.validate(version)
    elif not module.check_mode:
        module.fail_json(msg="no Docker Engine is installed; run the role dianrong.cloud.docker_engine")
    diff = _diff(daemon, plan, steps)
    backup = None if module.check_mode else daemon.carry_out(plan, steps)
    return {
        "changed": True,
        "action": plan.action,
        "reasons": list(plan.reasons),
        "unused": unused,
        "engine_version": version,
        "diff": diff,
        **({"backup_file": backup} if backup else {}),
    }


def _diff(daemon, plan, steps):
    before = {"active": daemon.unit.active, "enabled": daemon.unit.enabled}
    after = {"active": True, "enabled": True}
    if steps.changed:
        after["action"] = plan.action
        after["reasons"] = list(plan.reasons)
    old_drop_in = daemon.unit_files.drop_ins.get(daemon.drop_in) or ""
    parts = (
        (daemon.path, daemon.current or "", plan.content, plan.rewrite),
        (daemon.drop_in, old_drop_in, daemon.drop_in_text or "", daemon.drop_in_changes()),
        (daemon.unit.name, before, after, steps.changed),
    )
    return [
        {"before_header": name, "after_header": name, "before": old, "after": new}
        for name, old, new, differs in parts
        if differs
    ]


def main():
    module = AnsibleModule(
        argument_spec={
            "options": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "environment": {"type": "dict", "default": {}},
            "because": {"type": "list", "elements": "str", "default": []},
            "unused": {"type": "list", "elements": "path", "default": []},
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
