#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_registry_access
short_description: Give the Docker Engine of a host access to private registries
version_added: 0.1.0
description:
  - Writes the CA of each registry to C(/etc/docker/certs.d/<endpoint>/ca.crt), where the engine reads it
    without a reload.
  - Writes the credentials of all of them into one C(config.json) that only root can read. Nothing is passed
    on a command line.
  - The CA file of a registry that is no longer declared is removed when it was written by this module.
  - Credentials never show in output or diff, only that they change.
  - A CA that expired, or is no certificate, is refused before anything changes.
options:
  registries:
    description:
      - All registries of the host. The ones not named here lose their access.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the registry, for people.
        type: str
      port:
        description: The port that it listens on there, for people; O(registries[].endpoint) counts.
        type: int
      host:
        description: The host that runs it, for people.
        type: str
      endpoint:
        description: Host name or address, with the port, as it stands in image names.
        type: str
        required: true
      ca:
        description: Reference V(env:NAME) or V(file:PATH) to the CA's certificate in PEM, read on the
          controller.
        type: str
      username:
        description: Account to pull with.
        type: str
      password:
        description: Reference V(env:NAME) or V(file:PATH) to the account's password, read on the controller.
        type: str
  config:
    description:
      - The file of credentials.
    type: path
    default: /etc/drcloud/docker/config.json
  certificates:
    description:
      - The directory in which the engine looks for the CAs of registries.
    type: path
    default: /etc/docker/certs.d
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Access to the registries that the CMDB declares
  dianrong.cloud.docker_registry_access:
    registries: "{{ dr_registries }}"

- name: Access to one registry
  dianrong.cloud.docker_registry_access:
    registries:
      - endpoint: registry.example.org:5000
        ca: file:/srv/ca/ca.pem
        username: puller
        password: env:REGISTRY_PASSWORD
"""

RETURN = r"""
changed_files:
  description: The paths that were, or in check mode would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/certs.d/10.90.0.31:5000/ca.crt]
"""

import base64
import glob
import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _files

MARK = "# Managed by drCloud\n"
REGISTRY_OPTIONS = {
    "name": {"type": "str"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "endpoint": {"type": "str", "required": True},
    "ca": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
}


def credentials(registries):
    """Return docker's config.json for the registries that have an account."""
    auths = {}
    for registry in registries:
        if registry["username"] and registry["password"]:
            pair = f"{registry['username']}:{registry['password']}".encode()
            auths[registry["endpoint"]] = {"auth": base64.b64encode(pair).decode()}
    return json.dumps({"auths": auths}, indent=2, sort_keys=True) + "\n"


def ca_path(directory, endpoint):
    """Return where the engine looks for the CA of an endpoint, which must not lead elsewhere."""
    if "/" in endpoint or endpoint in ("", ".", ".."):
        raise _files.FileError(f"registry {endpoint!r}: expected host:port, without a scheme or a path")
    return os.path.join(directory, endpoint, "ca.crt")


def wanted(registries, config, directory, ours):
    """Return all files that give this access; ``ours`` are the CA files we wrote before."""
    files = [_files.Wanted(config, credentials(registries).encode(), mode=0o600, secret=True)]
    for registry in registries:
        if registry["ca"]:
            content = MARK + registry["ca"].rstrip("\n") + "\n"
            files.append(_files.Wanted(ca_path(directory, registry["endpoint"]), content.encode()))
    kept = {file.path for file in files}
    return files + [_files.Wanted(path, None) for path in sorted(ours) if path not in kept]


def written_by_us(directory):
    """Return the CA files in the directory that carry our mark."""
    paths = glob.glob(os.path.join(glob.escape(directory), "*", "ca.crt"))
    found = {path: _files.read(path) for path in paths if not os.path.islink(path)}
    return [path for path, file in found.items() if file and file.content.startswith(MARK.encode())]


def ensure(module):
    """Read, plan, apply; return the task's result."""
    given = module.params
    ours = written_by_us(given["certificates"])
    files = wanted(given["registries"], given["config"], given["certificates"], ours)
    changes = _files.plan(files, {file.path: _files.read(file.path) for file in files})
    if not module.check_mode:
        _files.apply(changes)
    paths = [change.wanted.path for change in changes]
    return {"changed": bool(changes), "changed_files": paths, "diff": _files.diff(changes)}


def main():
    module = AnsibleModule(
        argument_spec={
            "registries": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": REGISTRY_OPTIONS,
            },
            "config": {"type": "path", "default": "/etc/drcloud/docker/config.json"},
            "certificates": {"type": "path", "default": "/etc/docker/certs.d"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _files.FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
