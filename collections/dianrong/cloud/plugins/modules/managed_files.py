#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_files
short_description: Keep a set of files on a host as declared, in one pass
version_added: 0.1.0
description:
  - Writes files with their owner and mode, each at once or not at all, and removes those declared absent.
  - Does for a whole set of files what one M(ansible.builtin.copy) task per file would do, for the price of
    one.
  - Secret content is given as a reference, is read on the controller, and never shows in output or diff.
options:
  files:
    description:
      - The files. A path may stand here only once.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path. Missing directories above it are made.
        type: path
        required: true
      content:
        description: What the file holds. It is not templated again on the host.
        type: str
      secret:
        description:
          - In place of O(files[].content), a reference V(env:NAME) or V(file:PATH) to content on the
            controller.
        type: str
      secrets:
        description:
          - References by name. V(@name@) in O(files[].content) stands for what the reference of that name
            points at.
          - Content with secrets in it never shows in output or diff.
        type: dict
        default: {}
      state:
        description: Whether there should be such a file.
        type: str
        choices: [present, absent]
        default: present
      mode:
        description: Permissions in octal.
        type: str
        default: '0644'
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      validate:
        description:
          - A command, as a list, that must accept the new content before it takes its place; V({path})
            stands for it.
          - Is not run in check mode.
        type: list
        elements: str
        default: []
      backup:
        description: Keep what was there before beside it, under the name with this suffix.
        type: str
        default: ""
  unit:
    description:
      - The systemd unit that reads files of these, with the options of M(dianrong.cloud.systemd_unit). It is
        looked after when the files are written, for the price of the same module call.
    type: dict
    suboptions:
      name:
        description: Name of the unit. It is started and enabled.
        type: str
        required: true
      restart:
        description: Whether it has to restart for a reason that this module does not see.
        type: bool
        default: false
      reads:
        description:
          - Files that it takes over only when it restarts. It does where one of them is written, or is newer
            than the unit's last start.
        type: list
        elements: path
        default: []
      reload:
        description: Whether it has to reload for a reason that this module does not see.
        type: bool
        default: false
      reloads:
        description: Files that it takes over when it reloads.
        type: list
        elements: path
        default: []
      when_stale:
        description: What a change of the unit's own files asks for.
        type: str
        choices: [restart, reload]
        default: restart
      listens_on:
        description: TCP port that it has to take connections at after a start or restart.
        type: int
      listens_at:
        description: The address for O(unit.listens_on).
        type: str
        default: 127.0.0.1
      patience:
        description: How many seconds to wait for O(unit.listens_on).
        type: int
        default: 20
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: A certificate and its key
  dianrong.cloud.managed_files:
    files:
      - path: /etc/drcloud/registry/tls.crt
        content: "{{ certificate }}"
      - path: /etc/drcloud/registry/tls.key
        secret: file:/srv/secrets/registry.key
        mode: '0640'
        group: docker-registry

- name: A file with a password in it
  dianrong.cloud.managed_files:
    files:
      - path: /etc/drcloud/registry/environment
        content: |
          REGISTRY_PROXY_PASSWORD=@password@
        secrets:
          password: file:/srv/secrets/primary-password
        mode: '0600'

- name: A configuration, and the daemon that runs with it
  dianrong.cloud.managed_files:
    files:
      - path: /etc/chrony/chrony.conf
        content: "{{ lookup('ansible.builtin.template', 'chrony.conf.j2') }}"
    unit:
      name: chrony.service
      reads: [/etc/chrony/chrony.conf]
"""

RETURN = r"""
changed_files:
  description: The paths that were, or in check mode would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/drcloud/registry/tls.crt]
action:
  description: What O(unit) needed. One of V(none), V(start), V(reload), V(restart).
  returned: with O(unit)
  type: str
  sample: restart
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _files, _units

FILE_OPTIONS = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "default": "0644"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "validate": {"type": "list", "elements": "str", "default": []},
    "backup": {"type": "str", "default": ""},
}


def filled(path, text, secrets):
    """Return a text with the secrets in their places; each must have one."""
    for name in secrets:
        if f"@{name}@" not in text:
            raise _files.FileError(
                f"file {path}: nothing in its content stands for the secret: write @{name}@"
            )
    # One pass: a secret that looks like a place is not filled again.
    return re.sub(
        "|".join(f"@{re.escape(name)}@" for name in secrets) or "(?!)",
        lambda found: secrets[found[0][1:-1]],
        text,
    )


def wanted(option):
    """Return the file that one element of ``files`` declares."""
    text = option["secret"] if option["secret"] is not None else option["content"]
    try:
        mode = int(option["mode"], 8)
    except ValueError as error:
        raise _files.FileError(f"file {option['path']}: mode {option['mode']!r} is not octal") from error
    if option["state"] == "absent":
        content = None
    elif text is None:
        raise _files.FileError(f"file {option['path']}: give content or secret")
    else:
        content = filled(option["path"], text, option["secrets"]).encode()
    secret = option["secret"] is not None or bool(option["secrets"])
    return _files.Wanted(
        path=option["path"],
        content=content,
        mode=mode,
        owner=option["owner"],
        group=option["group"],
        secret=secret,
        validate=tuple(option["validate"]),
        backup=option["backup"],
    )


def ensure(module):
    """Read, plan, apply; return the task's result."""
    files = [wanted(option) for option in module.params["files"]]
    changes = _files.plan(files, {file.path: _files.read(file.path) for file in files})
    if not module.check_mode:
        _files.apply(changes)
    paths = [change.wanted.path for change in changes]
    result = {"changed": bool(changes), "changed_files": paths, "diff": _files.diff(changes)}
    return with_unit(module, result) if module.params["unit"] else result


def with_unit(module, result):
    """Look after the unit of the files; return the result for both."""
    found = _units.ensure(module, module.params["unit"], result["changed_files"])
    name = module.params["unit"]["name"]
    headers = {"before_header": name, "after_header": name}
    return {
        "changed": result["changed"] or found["changed"],
        "changed_files": result["changed_files"],
        "action": found["action"],
        "diff": result["diff"] + ([{**headers, **found["diff"]}] if found["diff"] else []),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": FILE_OPTIONS,
                "mutually_exclusive": [("content", "secret")],
            },
            "unit": {"type": "dict", "options": _units.OPTIONS},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _files.FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
