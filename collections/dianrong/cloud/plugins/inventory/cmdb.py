# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cmdb
author:
  - drCloud contributors (@dianrong)
version_added: 0.1.0
short_description: Hosts, groups and variables from the drCloud CMDB
description:
  - Reads the CMDB once, one query for each kind of thing, and gives its hosts to Ansible.
  - The source is a YAML file with a name that ends in C(.cmdb.yml) or C(.cmdb.yaml).
  - Values of the CMDB are data and never templated. Only the expressions of the source file are.
  - A CMDB that cannot be read, that is of another schema or that holds no hosts is an error, and nothing of
    it is used. Set C(any_unparsed_is_failed) in the section C([inventory]) of C(ansible.cfg), because
    ansible-core itself only warns of a source that it could not parse.
  - Retired hosts are left out, also as members of placements and load-balancer pools.
extends_documentation_fragment:
  - ansible.builtin.constructed
  - dianrong.cloud._attributes.controller
options:
  plugin:
    description: The name of this plugin, which marks a file as a source for it.
    type: str
    required: true
    choices: [dianrong.cloud.cmdb]
  url:
    description:
      - The CMDB's database as an SQLAlchemy URL, for instance C(sqlite:////srv/drcloud/cmdb.sqlite3).
        Without it, the user's own SQLite file.
      - May hold C(${NAME}) of the environment.
    type: str
    env:
      - name: DRCLOUD_CMDB_URL
  strict:
    description:
      - An expression that fails on a host is an error. Set to V(false) to skip such a host silently.
    type: bool
    default: true
  ssh:
    description:
      - Write the OpenSSH configuration of the fleet from the CMDB and connect with it. Hosts are reached
        through their bastions, and host keys are checked strictly against those that the CMDB holds.
      - Without it, your own OpenSSH configuration and known hosts are used, and the CMDB only tells the way
        through a bastion.
    type: dict
    suboptions:
      directory:
        description:
          - Where to write C(config) and C(known_hosts). Made with mode 0700 where it is missing; each file is
            replaced at once and only when it differs.
          - May hold C(${NAME}) of the environment and a leading C(~).
        type: str
        required: true
      identity_file:
        description:
          - The private key to log in with. Without it, OpenSSH tries the agent and its default keys.
          - May hold C(${NAME}) of the environment and a leading C(~).
        type: str
notes:
  - C(ansible-inventory --list) marks strings as C(__ansible_unsafe), so that its readers take them for data.
    C(drcloud inventory hosts --json) prints the same hosts without marks.
  - Groups are C(idc_<code>) with its racks C(rack_<idc>_<room>_<rack>) as children, C(role_<role>),
    C(state_<state>), and for the hosts of placements C(app_<app>) and C(env_<env>), both with
    C(app_<app>_<env>) as children. What cannot stand in a group's name becomes C(_); when two names of the
    CMDB would share a group, that is an error.
  - Each host has C(ansible_host), C(ansible_port), C(ansible_user), C(dr_idc), C(dr_room), C(dr_rack)
    (as C(idc/room/rack)), C(dr_role), C(dr_state), C(dr_serial), C(dr_asset_tag), C(dr_attrs) and
    C(dr_block_devices); a Docker host has C(dr_placements), a load balancer C(dr_lb_pools).
    The group C(all) has C(dr_registries) and, with O(ssh), C(dr_ssh_config).
  - Passwords appear only as references; see the lookup P(dianrong.cloud.secret#lookup).
"""

EXAMPLES = r"""
# site.cmdb.yml: everything the CMDB of $DRCLOUD_CMDB_URL holds
plugin: dianrong.cloud.cmdb
---
# idc.cmdb.yml: with its own SSH configuration, a group for each room and a variable
plugin: dianrong.cloud.cmdb
ssh:
  directory: ~/.local/state/drcloud/ssh
  identity_file: ~/.ssh/id_ed25519
keyed_groups:
  - prefix: room
    key: dr_idc ~ '_' ~ dr_room
compose:
  docker_disks: dr_block_devices | selectattr('purpose', 'eq', 'docker-data') | map(attribute='path')
groups:
  out_of_service: dr_state in ('maintenance', 'quarantined')
"""

import difflib
import typing as t
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from ansible_collections.dianrong.cloud.plugins.plugin_utils._construct import construct
from ansible_collections.dianrong.cloud.plugins.plugin_utils._filling import fill, withdraw
from ansible_collections.dianrong.cloud.plugins.plugin_utils._package import (
    DrcloudPackageError,
    require_drcloud,
)

try:
    # Imported here and not where it is used: workers forked later find the heavy parts already loaded.
    from drcloud.cmdb import inventory as model
    from drcloud.cmdb import snapshot, ssh
    from drcloud.cmdb.store import Store
    from drcloud.errors import DrcloudError, InvalidInputError
    from drcloud.secrets import expand

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error

SUFFIXES = (".cmdb.yml", ".cmdb.yaml")
SSH_OPTIONS = ("directory", "identity_file")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """The CMDB as an inventory."""

    NAME = "dianrong.cloud.cmdb"

    # Nothing from the CMDB is ever a template; the expressions of the source carry their own trust.
    trusted_by_default = False

    def verify_file(self, path):
        """Tell whether the path looks like a source for this plugin."""
        return super().verify_file(path) and str(path).endswith(SUFFIXES)

    def parse(self, inventory, loader, path, cache=True):
        """Fill the inventory from the CMDB that the source names; all of it or nothing."""
        super().parse(inventory, loader, path, cache)
        try:
            require_drcloud(IMPORT_ERROR)
        except DrcloudPackageError as error:
            raise AnsibleParserError(str(error)) from error
        self._check_names(self._read_config_data(path), path)
        try:
            found = self._read_cmdb()
        except DrcloudError as error:
            raise AnsibleParserError(str(error)) from error
        before = set(inventory.hosts), set(inventory.groups)
        try:
            fill(inventory, found, model.names(found.groups))
            construct(self, found)
        except Exception:
            withdraw(inventory, *before)
            raise

    def _check_names(self, config, path):
        """Refuse options that do not exist: ansible-core would ignore a misspelt one."""
        for option in config:
            if option not in self.option_definitions:
                raise AnsibleParserError(f"{path}: {_unknown('option ', option, self.option_definitions)}")

    def _read_cmdb(self) -> model.Inventory:
        url = self.get_option("url")
        directory, identity_file = self._ssh_options()
        rows = snapshot.read(Store.open(expand(url, "option url") if url else None))
        found = model.build(rows, str(directory / ssh.CONFIG) if directory else None)
        if directory:
            ssh.write(rows, directory, identity_file)
        return found

    def _ssh_options(self) -> tuple[Path | None, str | None]:
        options = self.get_option("ssh")
        if options is None:
            return None, None
        for option in options:
            if option not in SSH_OPTIONS:
                raise InvalidInputError(_unknown("option ssh.", option, SSH_OPTIONS))
        if not options.get("directory"):
            raise InvalidInputError(
                "option ssh.directory is missing: it says where to write config and known_hosts"
            )
        expanded = {
            name: expand(str(value), f"option ssh.{name}") for name, value in options.items() if value
        }
        return Path(expanded["directory"]).absolute(), expanded.get("identity_file")


def _unknown(what: str, name: t.Any, known: t.Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"unknown {what}{name}" + (f"; did you mean {near[0]}?" if near else "")
