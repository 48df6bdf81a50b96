#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificate
short_description: Keep a certificate of a host good, signed by a CA on the controller
version_added: 0.1.0
description:
  - Looks at the certificate on the host. Where there is none, or it is of another CA, for other names or
    another use or about to expire, makes a new key and certificate and puts both into one file, at once or
    not at all.
  - The CA's key stays on the controller; the new key is written to its host and nowhere else.
  - A CA that expired or to which the key does not belong, and a given certificate that expired, is of
    another CA or for other names are refused before anything changes.
  - With O(purpose), the CMDB holds what the host has, as kind C(certificate) under the name
    C(<host>-<purpose>), with subject, issuer, fingerprint and the day on which it expires.
options:
  path:
    description:
      - The file on the host, with certificate and key in PEM.
    type: path
    required: true
  names:
    description:
      - Host names and addresses that the certificate is for. The first is also its subject. Required in
        tasks.
    type: list
    elements: str
  usages:
    description:
      - Whether a server, a client or both may show the certificate.
    type: list
    elements: str
    choices: [server, client]
    default: [server]
  ca_certificate:
    description:
      - Reference V(env:NAME) or V(file:PATH) to the CA's certificate on the controller. Required in tasks.
    type: str
  ca_key:
    description:
      - Reference V(env:NAME) or V(file:PATH) to the CA's unencrypted private key on the controller.
        Required in tasks that give no O(certificate).
    type: str
  ca_path:
    description:
      - Also write the CA's certificate to this file on the host.
    type: path
  certificate:
    description:
      - Reference V(env:NAME) or V(file:PATH) to a certificate with its key in PEM, made elsewhere. It is
        taken in place of a new one, and only when it is good for O(names) and O(usages) and of this CA.
    type: str
  days:
    description:
      - How long a new certificate is good; never longer than its CA. Must be more than
        O(renew_before_days).
    type: int
    default: 397
  renew_before_days:
    description:
      - How long before it expires a certificate is replaced. One that ends with its CA is kept until then,
        for a new one would not last longer; each run warns of such a CA.
    type: int
    default: 30
  rotate:
    description:
      - Replace the certificate and its key although they are good.
    type: bool
    default: false
  purpose:
    description:
      - What the certificate is for, as V(registry) or V(engine-api). Records it in the CMDB.
    type: str
  owner:
    description:
      - Owner of the file.
    type: str
    default: root
  group:
    description:
      - Group of the file.
    type: str
    default: root
  mode:
    description:
      - Permissions of the file in octal.
    type: str
    default: '0640'
  pem:
    description:
      - What the controller half wants written. Not for tasks.
    type: str
  ca_pem:
    description:
      - What the controller half wants written to O(ca_path). Not for tasks.
    type: str
requirements:
  - The Python package C(cryptography) on the controller.
extends_documentation_fragment:
  - dianrong.cloud._attributes
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Certificate of the registry
  dianrong.cloud.tls_certificate:
    path: /etc/drcloud/registry/tls.pem
    names: ["{{ ansible_host }}", "{{ inventory_hostname }}"]
    ca_certificate: file:/srv/ca/ca.pem
    ca_key: file:/srv/ca/ca.key
    group: docker-registry
    purpose: registry

- name: A certificate with which a program may use the engines' Remote API
  dianrong.cloud.tls_certificate:
    path: /etc/drcloud/clients/monitor.pem
    names: [monitor]
    usages: [client]
    ca_certificate: file:/srv/engine-ca/ca.pem
    ca_key: file:/srv/engine-ca/ca.key
    ca_path: /etc/drcloud/clients/ca.pem
"""

RETURN = r"""
certificate:
  description: The certificate on the host, without its key. Null when there is none.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----\n..."
reason:
  description: Why the certificate was replaced.
  returned: when it was, or in check mode would be
  type: str
  sample: it expires on 2026-12-01
"""

import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dianrong.cloud.plugins.module_utils import _files

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def certificate_in(content):
    """Return the first certificate of a PEM text that also holds a key; None without both."""
    match = CERTIFICATE.search(content)
    return match[0] if match and "PRIVATE KEY-----" in content else None


def wanted(given, found):
    """Return the files as they should be; the certificate's content stays when no new one is given."""
    files = []
    if given["ca_pem"]:
        content = given["ca_pem"].rstrip("\n") + "\n"
        files.append(_files.Wanted(given["ca_path"], content.encode(), 0o644))
    content = given["pem"].encode() if given["pem"] else found.content if found else None
    if content is not None:
        files.append(
            _files.Wanted(
                given["path"], content, int(given["mode"], 8), given["owner"], given["group"], secret=True
            )
        )
    return files


def ensure(module):
    """Read, plan, apply; return the task's result."""
    found = _files.read(module.params["path"])
    files = wanted(module.params, found)
    changes = _files.plan(files, {file.path: _files.read(file.path) for file in files})
    if not module.check_mode:
        _files.apply(changes)
    present = found.content.decode("utf-8", "replace") if found else ""
    text = module.params["pem"] or present
    return {"changed": bool(changes), "certificate": certificate_in(text), "diff": _files.diff(changes)}


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str"},
            "usages": {
                "type": "list",
                "elements": "str",
                "choices": ["server", "client"],
                "default": ["server"],
            },
            "ca_certificate": {"type": "str"},
            "ca_key": {"type": "str", "no_log": False},
            "ca_path": {"type": "path"},
            "certificate": {"type": "str"},
            "days": {"type": "int", "default": 397},
            "renew_before_days": {"type": "int", "default": 30},
            "rotate": {"type": "bool", "default": False},
            "purpose": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0640"},
            "pem": {"type": "str", "no_log": True},
            "ca_pem": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**ensure(module))
    except _files.FileError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
