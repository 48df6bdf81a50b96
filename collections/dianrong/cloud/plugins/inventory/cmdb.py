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
  - A CMDB that cannot be read, that is of another schema or that has no host for the source is an error, and
    nothing of it is used. Set C(any_unparsed_is_failed) in the section C([inventory]) of C(ansible.cfg),
    because ansible-core itself only warns of a source that it could not parse.
  - Retired hosts are left out, also as members of placements and load-balancer pools.
  - C(drcloud inventory explain HOST GROUP) says which rule puts a host into a group, or why none does, and
    C(drcloud inventory diff T1 T2) what changed between two times.
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
      - An expression that does not parse is an error in any case.
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
          - The files name the hosts of this source and the bastions on the way to them, so two sources that
            select differently need a directory each.
        type: str
        required: true
      identity_file:
        description:
          - The private key to log in with. Without it, OpenSSH tries the agent and its default keys.
          - May hold C(${NAME}) of the environment and a leading C(~).
        type: str
  state:
    description:
      - Only hosts in these states. Without it, all but retired ones.
      - O(state), O(idc), O(env), O(app) and O(role) are asked of the database, so other hosts are never read.
        All that are given must hold; of several values of one, any. A value that the CMDB does not know is an
        error.
      - What the selected hosts cannot do without stays complete. The pool of a load balancer lists all its
        members, and the SSH configuration has the bastions on the way.
    type: list
    elements: str
  idc:
    description: Only hosts that stand in these IDCs, by code.
    type: list
    elements: str
  env:
    description:
      - Only hosts with a placement in these environments, and the load balancers in front of it.
      - Together with O(app), it is the same placement that must match both.
    type: list
    elements: str
  app:
    description: Only hosts with a placement of these apps, and the load balancers in front of it.
    type: list
    elements: str
  role:
    description: Only hosts of these roles.
    type: list
    elements: str
  where:
    description:
      - Only hosts for which this expression over their variables is true. It is evaluated after the query,
        and it sees a host's variables and C(inventory_hostname), not its groups.
    type: str
  allow_empty:
    description: A source that matches no host is an empty inventory and not an error.
    type: bool
    default: false
  fields:
    description:
      - The host variables to emit, with or without C(dr_). The variables of the connection C(ansible_*) and
        those of O(compose) are always there.
      - What only an expression, O(hostname) or O(group_by) of this source reads is read, and not emitted.
        What nobody asks for is not read.
      - Without it, all variables that the notes tell of as usual.
    type: list
    elements: str
  hostname:
    description:
      - What a host is called. V(name), V(serial), V(asset_tag), V(address) or a path into its variables as
        V(dr_attrs.fqdn). Of several, the first that the host has.
      - A value that cannot be the name of a host is an error, and so is a host that has none of them.
      - The roles and playbooks of this collection take a host's name for its name in the CMDB. Use another
        choice for inventories of your own playbooks.
    type: list
    elements: str
    default: [name]
  duplicates:
    description:
      - What to do with hosts that share the name that O(hostname) gives them.
      - V(error) refuses the source. V(qualify) calls each of them C(<name>@<IDC>), or C(<name>@<name in the
        CMDB>) where that is not enough. V(skip) leaves all of them out, with a warning, because none of them
        is the one that is meant.
    type: str
    choices: [error, qualify, skip]
    default: error
  group_by:
    description:
      - Groups by the values at paths into a host's variables, with or without C(dr_). An entry is a path, or
        a list of paths that gives nested groups, outermost first.
      - A group is called by the last part of the path and the values down to it, so V([idc, room, rack])
        gives C(idc_sh1), in it C(room_sh1_2f), in it C(rack_sh1_2f_a01). A path through a list takes
        each item.
      - A host without a value stays in the group of the level above. An entry that groups no host at all is a
        warning.
    type: list
    elements: raw
    default: []
  as_of:
    description:
      - The inventory as it was. The number of a change, a time (C(2026-03-01T14:00), C(2h) ago), or
        C(ticket:NAME) for the state before the first change under a ticket; see C(drcloud cmdb log).
      - Everything is as it was then, SSH host keys included, so give O(ssh.directory) another one than that
        of the present.
    type: str
  drift:
    description:
      - Groups C(drift_image), C(drift_spec), C(drift_stopped), C(drift_unhealthy), C(drift_missing),
        C(drift_not_seen), C(drift_unplaced) and C(drift_unknown), all in C(drift), of hosts whose
        instances were last observed otherwise than the placements and the last deployment that succeeded
        say. C(drcloud drift) tells the same, app by app.
      - It cannot be asked of the past.
    type: bool
    default: false
  cached:
    description:
      - Keep the inventory in a file of its own, mode 0600, and take it from there as long as the CMDB says
        that nothing changed. It never ages and is always right, so there is no timeout. Expressions are
        evaluated anew each time.
      - A O(where) that drCloud leaves to Jinja may depend on anything, and such a source is not kept.
      - ansible-core's own cache plugins are not used. They know only of age, and their files can be read by
        others.
    type: bool
    default: false
  cache_directory:
    description:
      - Where the file is kept. Made with mode 0700 where it is missing.
      - May hold C(${NAME}) of the environment and a leading C(~).
      - Without it, C($XDG_CACHE_HOME/drcloud/inventory) or C(~/.cache/drcloud/inventory).
    type: str
  use_stale_cache:
    description:
      - With O(cached), take what was kept last when the CMDB cannot be reached, with a loud warning. Every
        other trouble of the CMDB is an error as always.
    type: bool
    default: false
notes:
  - C(ansible-inventory --list) marks strings as C(__ansible_unsafe), so that its readers take them for data.
    C(drcloud inventory hosts --json) prints the same hosts without marks.
  - Groups are C(idc_<code>) with its racks C(rack_<idc>_<room>_<rack>) as children, C(role_<role>),
    C(state_<state>), C(tag_<tag>), and for the hosts of placements C(app_<app>) and C(env_<env>), both with
    C(app_<app>_<env>) as children. What cannot stand in a group's name becomes C(_); when two names of the
    CMDB would share a group, that is an error.
  - Each host has C(ansible_host), C(ansible_port) and C(ansible_user). Usual are C(dr_idc), C(dr_room),
    C(dr_rack) (as C(idc/room/rack)), C(dr_role), C(dr_state), C(dr_serial), C(dr_asset_tag), C(dr_attrs) and
    C(dr_block_devices); a Docker host has C(dr_placements), a load balancer C(dr_lb_pools). Where there are
    any, a host has C(dr_bridges) and a load balancer C(dr_vips). Only O(fields) brings C(dr_name) (in the
    CMDB), C(dr_model), C(dr_rack_unit) (the lowest), C(dr_tags) and C(dr_addresses).
    The group C(all) has C(dr_registries), C(dr_firewall_zones) and C(dr_certificates) (those of the
    purpose C(ca)) where there are any and, with O(ssh), C(dr_ssh_config).
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
---
# prod.cmdb.yml: one environment of one IDC, only what its plays need, remembered until something changes
plugin: dianrong.cloud.cmdb
idc: [sh1]
env: [prod]
state: [active, maintenance]
where: dr_attrs.team is defined
fields: [role, state, placements, lb_pools]
group_by:
  - [idc, room, rack]
  - dr_attrs.team
drift: true
cached: true
---
# before.cmdb.yml: what the fleet was before a change, under the names of the asset register
plugin: dianrong.cloud.cmdb
as_of: ticket:CHG-1042
hostname: [asset_tag, name]
duplicates: qualify
"""

from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from ansible_collections.dianrong.cloud.plugins.plugin_utils._construct import construct
from ansible_collections.dianrong.cloud.plugins.plugin_utils._filling import fill, in_bulk, withdraw
from ansible_collections.dianrong.cloud.plugins.plugin_utils._package import (
    DrcloudPackageError,
    require_drcloud,
)
from ansible_collections.dianrong.cloud.plugins.plugin_utils._where import Where

try:
    # Imported here and not where it is used: workers forked later find the heavy parts already loaded.
    from drcloud.cmdb import assembly, engine, sourcefile, ssh
    from drcloud.cmdb import inventory as model
    from drcloud.cmdb import options as asked
    from drcloud.cmdb.cache import Cache, default_directory
    from drcloud.cmdb.store import Store
    from drcloud.errors import DrcloudError, InvalidInputError
    from drcloud.secrets import expand

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error

SUFFIXES = (".cmdb.yml", ".cmdb.yaml")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """The CMDB as an inventory."""

    NAME = "dianrong.cloud.cmdb"

    # Nothing from the CMDB is ever a template; the expressions of the source carry their own trust.
    trusted_by_default = False

    def verify_file(self, path):
        """Tell whether the path looks like a source for this plugin."""
        return super().verify_file(path) and str(path).endswith(SUFFIXES)

    @in_bulk()
    def parse(self, inventory, loader, path, cache=True):
        """Fill the inventory from the CMDB that the source names; all of it or nothing."""
        super().parse(inventory, loader, path, cache)
        try:
            require_drcloud(IMPORT_ERROR)
        except DrcloudPackageError as error:
            raise AnsibleParserError(str(error)) from error
        self._check_names(self._read_config_data(path), path)
        try:
            found = self._read_cmdb(path, refresh=not cache)
        except DrcloudError as error:
            raise AnsibleParserError(str(error)) from error
        before = set(inventory.hosts), set(inventory.groups)
        try:
            fill(inventory, found, model.names(found.groups))
            construct(self, found, path, before[0])
            self._hide(found)
        except Exception:
            withdraw(inventory, *before)
            raise

    def _check_names(self, config, path):
        """Refuse options that do not exist: ansible-core would ignore a misspelt one."""
        try:
            sourcefile.refuse_unknown(config, self.option_definitions)
        except InvalidInputError as error:
            raise AnsibleParserError(f"{path}: {error}") from error

    def _read_cmdb(self, path: str, refresh: bool) -> model.Inventory:
        url = self.get_option("url")
        url = expand(url, "option url") if url else None
        wanted, where = self._wanted()
        cached = self.get_option("cached")
        if self.get_option("use_stale_cache") and not cached:
            raise InvalidInputError("option use_stale_cache: nothing is kept without cached: true")
        if cached and where is not None and not where.is_plain:
            self.display.warning(f"{path}: not kept, because only Jinja can tell what its option where means")
            cached = False
        if cached:
            found = self._remembered(path, url, wanted, refresh)
        else:
            found = assembly.read(Store.open(url), wanted)
        for warning in found.warnings:
            self.display.warning(f"{path}: {warning}")
        if wanted.ssh_directory:
            ssh.install(found.files, wanted.ssh_directory)
        return found.inventory

    def _wanted(self) -> tuple[assembly.Wanted, Where | None]:
        options = asked.parse({name: self.get_option(name) for name in asked.NAMES})
        directory, identity_file = sourcefile.ssh_options(self.get_option("ssh"))
        where = options.where and Where(self.templar, options.where, self.get_option("strict"))
        return assembly.Wanted(options, where or None, directory, identity_file), where or None

    def _remembered(
        self, path: str, url: str | None, wanted: assembly.Wanted, refresh: bool
    ) -> assembly.Found:
        """Return the inventory from the cache or the CMDB; what the entry depends on is its key."""
        folder = self.get_option("cache_directory")
        directory = Path(expand(folder, "option cache_directory")) if folder else default_directory()
        key = {
            "url": engine.locate(url).render_as_string(hide_password=False),
            "options": {name: self.get_option(name) for name in asked.NAMES},
            "strict": self.get_option("strict"),
            "ssh": [str(wanted.ssh_directory), wanted.identity_file],
        }
        cache = Cache(directory.absolute(), str(Path(path).absolute()), key)
        return assembly.remembered(
            url, wanted, cache, refresh=refresh, stale=self.get_option("use_stale_cache")
        )

    def _hide(self, found: model.Inventory) -> None:
        """Take out of the hosts what only the expressions of the source were to read."""
        composed = set(self.get_option("compose") or ())
        for name in found.hidden - composed:
            for host in found.hosts:
                self.inventory.hosts[host].vars.pop(name, None)
