#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_watches
short_description: Have the kernel's audit watch paths, on disk and in the running kernel
version_added: 0.1.0
description:
  - Writes one file of rules to C(/etc/audit/rules.d), one watch for each path, and has C(augenrules) load
    all rules when the kernel lacks one of them. Has auditd run, which writes down what the kernel sees.
  - Not every kernel lets itself be asked. In a container, and where audit is turned off, the rules are on
    disk only; the task says so in a warning and in RV(loaded), in place of claiming that they hold. The same
    where the rules are locked until the next boot (C(auditctl -e 2)), which then loads them.
  - The kernel watches a path that is not there yet as long as its directory is. A path without a directory
    is left out and returned.
options:
  paths:
    description:
      - Absolute paths of files and directories. A directory is watched with all that is in it.
    type: list
    elements: str
    required: true
  permissions:
    description:
      - Which access is recorded, of V(r), V(w), V(x) and V(a) (attributes).
    type: str
    default: rwxa
  key:
    description:
      - The mark by which C(ausearch -k) finds the records.
    type: str
    required: true
  file:
    description:
      - The file of rules.
    type: path
    required: true
requirements:
  - The package C(auditd) on the host.
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Who touches the engine's configuration is on record
  dianrong.cloud.audit_watches:
    paths: [/etc/docker, /usr/bin/dockerd]
    permissions: rwxa
    key: docker
    file: /etc/audit/rules.d/60-docker.rules
"""

RETURN = r"""
loaded:
  description: Whether the running kernel has all the rules.
  returned: success
  type: bool
  sample: true
reason:
  description: Why the kernel does not have them.
  returned: when the rules are not loaded
  type: str
  sample: "the kernel cannot be asked: Error - audit support not in kernel"
left_out:
  description: Paths in directories that are not there.
  returned: success
  type: list
  elements: str
  sample: [/etc/containerd/config.toml]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _audit, _files, _units

DAEMON = "auditd.service"
LOCKED = "the rules are locked until the next boot"


def ask_kernel(module):
    """Return the rules that the kernel has loaded, or None and why it does not tell."""
    program = module.get_bin_path("auditctl")
    if program is None:
        return None, "the kernel cannot be asked: auditctl is not installed"
    code, output, errors = module.run_command([program, "-l"])
    if code:
        return None, f"the kernel cannot be asked: {' '.join((errors or output).split())}"
    return [line for line in output.splitlines() if line.strip() != "No rules"], None


def is_locked(module):
    """Return whether a kernel that can be asked takes no rules any more."""
    program = module.get_bin_path("auditctl", required=True)
    return _audit.locked(module.run_command([program, "-s"], check_rc=True)[1])


def load(module, plan):
    """Have the kernel load all rules; fail when it still lacks one of ours."""
    code, output, errors = module.run_command(["augenrules", "--load"])
    loaded, _reason = ask_kernel(module)
    have = {_audit.canonical(rule) for rule in loaded or ()}
    lacking = [rule for rule in plan.rules if _audit.canonical(rule) not in have]
    if lacking:
        said = " ".join((errors or output).split())
        module.fail_json(
            msg=f"audit watches: the kernel does not have {'; '.join(lacking)} after augenrules --load"
            f" (exit code {code}): {said}"
        )


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    present = {path.rpartition("/")[0] for path in given["paths"]}
    present = {directory for directory in present if os.path.isdir(directory or "/")}
    loaded, reason = ask_kernel(module)
    locked = loaded is not None and is_locked(module)
    plan = _audit.plan(given["paths"], given["permissions"], given["key"], present, loaded, locked)
    file = _files.Wanted(given["file"], _audit.render(plan.rules).encode(), mode=0o640)
    changes = _files.plan([file], {file.path: _files.read(file.path)})
    unit = _units.read(module, DAEMON)
    # Where the kernel cannot be asked the daemon has nothing to write down, and does not start.
    steps = None if loaded is None else _units.decide(unit)
    # A rule that went from the file has to go from the kernel as well.
    outdated = loaded is not None and not locked and bool(plan.missing or changes)
    if not module.check_mode:
        _files.apply(changes)
        if steps:
            _units.apply(module, unit, steps)
        if outdated:
            load(module, plan)
    diff = _files.diff(changes)
    if steps and steps.changed:
        diff.append({"before": {"auditd": unit.active}, "after": {"auditd": True}})
    if plan.missing:
        diff.append({"before": "", "after": "".join(f"load: {rule}\n" for rule in plan.missing)})
    changed = bool(changes or plan.missing or (steps and steps.changed))
    result = {"changed": changed, "left_out": list(plan.left_out), "diff": diff}
    return {**result, **holds(module, reason or (LOCKED if plan.waiting else None), outdated)}


def holds(module, reason, outdated):
    """Return what can be said of the kernel's rules; warn where they are on disk only."""
    if reason is None:
        return {"loaded": not (module.check_mode and outdated)}
    module.warn(f"audit rules are on disk but not loaded, for {reason}")
    return {"loaded": False, "reason": reason}


def main():
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "str", "required": True},
            "permissions": {"type": "str", "default": "rwxa"},
            "key": {"type": "str", "required": True, "no_log": False},
            "file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except (_audit.AuditError, _files.FileError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
