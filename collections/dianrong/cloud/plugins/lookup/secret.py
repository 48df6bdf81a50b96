# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
author:
  - drCloud contributors (@dianrong)
version_added: 0.1.0
short_description: Read a secret that the CMDB only refers to
description:
  - The CMDB stores where a secret is, never the secret. This lookup reads it on the controller when used.
  - What comes back is data and never templated.
extends_documentation_fragment:
  - dianrong.cloud._attributes.controller
options:
  _terms:
    description:
      - References to read, each C(env:NAME), C(file:PATH) or C(vault:FILE#KEY).
      - FILE is encrypted by ansible-vault, as a whole or value by value; its password is that of Ansible.
      - A path may hold C(${NAME}) of the environment and a leading C(~).
      - One line end at the end of a file is not part of the secret.
    type: list
    elements: str
    required: true
notes:
  - Use it in tasks with C(no_log=true), or in variables that only such tasks use.
"""

EXAMPLES = r"""
- name: Write the registry's password file
  ansible.builtin.copy:
    content: "{{ lookup('dianrong.cloud.secret', dr_registries[0].password) }}"
    dest: /etc/drcloud/registry-password
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_raw:
  description: The secrets, in the order of the references.
  type: list
  elements: str
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.dianrong.cloud.plugins.plugin_utils._package import (
    DrcloudPackageError,
    require_drcloud,
)

try:
    from drcloud import secrets
    from drcloud.errors import DrcloudError

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error


class LookupModule(LookupBase):
    """Resolve references to secrets."""

    def run(self, terms, variables=None, **kwargs):
        """Return the secret of each term."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            require_drcloud(IMPORT_ERROR)
        except DrcloudPackageError as error:
            raise AnsibleLookupError(str(error)) from error
        try:
            return [secrets.resolve(str(term)) for term in terms]
        except DrcloudError as error:
            raise AnsibleLookupError(str(error)) from error
