# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cmdb
author:
  - drCloud contributors (@dianrong)
version_added: 0.1.0
short_description: Read declared objects of the CMDB
description:
  - Reads objects of one kind from the CMDB, by their names or by the values of their fields.
  - What comes back is data and never templated, whatever somebody wrote into the CMDB.
extends_documentation_fragment:
  - dianrong.cloud._attributes.controller
options:
  _terms:
    description:
      - The kind, for instance V(host), and then the names of objects. Without names, all objects of the kind.
      - C(drcloud cmdb show) lists the kinds.
      - A name that the CMDB does not know is an error.
    type: list
    elements: str
    required: true
  filters:
    description:
      - Return only objects of which each of these fields has its value; a list of values means any of them.
      - C(attrs.team) looks into a free document.
    type: dict
    default: {}
  as_of:
    description:
      - Read the past, at the number of a change, a time such as V(2026-03-01T14:00), V(2h) ago,
        or V(ticket:NAME), which is before the first change under a ticket.
    type: str
  cmdb_url:
    description:
      - The CMDB's database as an SQLAlchemy URL. May hold C(${NAME}) of the environment.
      - Without it, the one that E(DRCLOUD_CMDB_URL) names, else the user's own SQLite file.
    type: str
notes:
  - A lookup runs in the worker of each host. With the inventory plugin P(dianrong.cloud.cmdb#inventory) the
    workers find what it needs already loaded; without, each pays for it, and M(dianrong.cloud.cmdb_info) with
    C(run_once) is cheaper.
seealso:
  - module: dianrong.cloud.cmdb_info
"""

EXAMPLES = r"""
- name: Say where a host stands
  ansible.builtin.debug:
    msg: "{{ lookup('dianrong.cloud.cmdb', 'host', 'dk-01').rack }}"

- name: Say which racks have active Docker hosts
  ansible.builtin.debug:
    msg: "{{ query('dianrong.cloud.cmdb', 'host', filters=wanted) | map(attribute='rack') | unique }}"
  vars:
    wanted:
      role: docker
      state: active
"""

RETURN = r"""
_raw:
  description:
    - The fields of each object. Other objects are named as everywhere in the CMDB, so a rack as
      C(idc/room/rack).
    - A host has its management C(address) among them.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.dianrong.cloud.plugins.plugin_utils._package import (
    DrcloudPackageError,
    require_drcloud,
)

try:
    from drcloud.cmdb import reading
    from drcloud.cmdb.store import Store
    from drcloud.errors import DrcloudError
    from drcloud.secrets import expand

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error


class LookupModule(LookupBase):
    """Read objects by kind, name and fields."""

    def run(self, terms, variables=None, **kwargs):
        """Return the fields of each object."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            require_drcloud(IMPORT_ERROR)
        except DrcloudPackageError as error:
            raise AnsibleLookupError(str(error)) from error
        if not terms:
            raise AnsibleLookupError("say what to read, as lookup('dianrong.cloud.cmdb', 'host', 'dk-01')")
        kind, *names = (str(term) for term in terms)
        url = self.get_option("cmdb_url")
        try:
            store = Store.open(expand(url, "option cmdb_url") if url else None)
            found = reading.read(
                store, kind, names, where=self.get_option("filters"), as_of=self.get_option("as_of")
            )
        except DrcloudError as error:
            raise AnsibleLookupError(str(error)) from error
        return [one.fields for one in found]
