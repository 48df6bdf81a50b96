#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_users
short_description: Keep the accounts of an image registry
version_added: 0.1.0
description:
  - Writes an C(htpasswd) file with bcrypt hashes, the only kind the registry accepts.
  - A password that still matches its hash is left alone, so nothing changes twice. Accounts not named are
    removed.
  - Needs no package, for the hashes come from the C library of the host.
  - Passwords and hashes never show in output or diff, only that they change.
options:
  path:
    description:
      - The file.
    type: path
    required: true
  users:
    description:
      - All accounts.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      password:
        description: Reference V(env:NAME) or V(file:PATH) to the password, read on the controller.
        type: str
        required: true
  owner:
    description:
      - Owner of the file.
    type: str
    default: root
  group:
    description:
      - Group of the file, which may read it.
    type: str
    default: root
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: One account
  dianrong.cloud.registry_users:
    path: /etc/drcloud/registry/htpasswd
    group: docker-registry
    users:
      - name: drcloud
        password: file:/srv/secrets/registry-password
"""

RETURN = r"""
renewed:
  description: Accounts that are new or have a new password.
  returned: success
  type: list
  elements: str
  sample: [drcloud]
removed:
  description: Accounts that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

import ctypes
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _files

PREFIX = b"$2y$"
COST = 10


def _library():
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.argtypes, library.crypt.restype = (ctypes.c_char_p, ctypes.c_char_p), ctypes.c_char_p
    library.crypt_gensalt.argtypes = (ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int)
    library.crypt_gensalt.restype = ctypes.c_char_p
    return library


def crypt(password, setting):
    """Return the hash of a password by the C library; empty when it cannot do that."""
    answer = _library().crypt(password.encode(), setting.encode())
    hashed = answer.decode() if answer else ""
    return "" if hashed.startswith("*") else hashed


def new_hash(password):
    """Return a bcrypt hash with a fresh salt."""
    random = os.urandom(16)
    setting = _library().crypt_gensalt(PREFIX, COST, random, len(random))
    hashed = crypt(password, setting.decode()) if setting else ""
    if not hashed:
        raise _files.FileError("the C library of this host (libcrypt.so.1) has no bcrypt")
    return hashed


def parse(content):
    """Return ``{account: hash}`` of an htpasswd file."""
    rows = [line.partition(":") for line in content.splitlines() if ":" in line]
    return {name: hashed for name, _colon, hashed in rows}


def render(accounts):
    """Return the htpasswd file."""
    return "".join(f"{name}:{hashed}\n" for name, hashed in sorted(accounts.items()))


def plan(users, existing):
    """Return the accounts as they should be and the names of those that need a new hash."""
    accounts, renewed = {}, []
    for user in users:
        name, old = user["name"], existing.get(user["name"], "")
        if not name or ":" in name:
            raise _files.FileError(f"account {name!r}: a name must not be empty nor hold a colon")
        # Whoever holds the file must not see a weaker hash survive: only bcrypt counts.
        if old.startswith("$2") and crypt(user["password"], old) == old:
            accounts[name] = old
        else:
            accounts[name] = new_hash(user["password"])
            renewed.append(name)
    return accounts, renewed


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    found = _files.read(given["path"])
    existing = parse(found.content.decode("utf-8", "replace")) if found else {}
    accounts, renewed = plan(given["users"], existing)
    wanted = _files.Wanted(
        given["path"], render(accounts).encode(), 0o640, given["owner"], given["group"], secret=True
    )
    changes = _files.plan([wanted], {wanted.path: found})
    if not module.check_mode:
        _files.apply(changes)
    removed = sorted(set(existing) - set(accounts))
    return {"changed": bool(changes), "renewed": renewed, "removed": removed, "diff": _files.diff(changes)}


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _files.FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
