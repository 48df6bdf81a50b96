"""``drcloud inventory explain`` and ``diff`` say what Ansible sees."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from drcloud.cli import inventory_view
from drcloud.cmdb import assembly, explanation, hosts, lookup, sourcefile
from drcloud.cmdb.assembly import Wanted
from drcloud.cmdb.explanation import Reason
from drcloud.cmdb.options import FIELDS
from drcloud.cmdb.sourcefile import SourceFile
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError, NothingMatchedError

SOURCE = """
where: dr_role != 'infra'
compose:
  team: dr_attrs.team | default('nobody')
groups:
  paying: team == '支付' and dr_role == 'docker'
  placed: dr_placements is defined and dr_placements | length > 0
keyed_groups:
  - {prefix: team, key: team, parent_group: teams}
  - {key: dr_role, separator: ''}
  - {prefix: serial, key: dr_serial, default_value: none}
group_by: [[idc, room, rack], dr_attrs.owner]
strict: false
"""


def test_every_membership_is_explained_as_ansible_has_it(idc, monkeypatch):
    monkeypatch.setenv("DRCLOUD_CMDB_URL", idc.environment["DRCLOUD_CMDB_URL"])
    name = idc.source(SOURCE, "explained.cmdb.yml")
    listing = idc.inventory(name)
    names = sorted(listing.pop("_meta")["hostvars"])
    assert len(names) > 8

    def inside(group: str) -> set[str]:
        found = listing.get(group, {})
        return set(found.get("hosts", ())).union(*(inside(child) for child in found.get("children", ())))

    source = sourcefile.load(idc.directory / name)
    rules, options = source.rules(), replace(source.options, fields=FIELDS)
    found = assembly.read(Store.open(), Wanted(options, rules.keep())).inventory
    assert set(found.hosts) == set(names)
    groups = {*listing} - {"all", "ungrouped"}
    assert {"paying", "teams", "team_nobody", "docker", "room_sh1_2f", "serial_none"} <= groups
    for group in groups:
        members = {host for host in names if explanation.explain(found, options, rules, host, group).member}
        assert members == inside(group), group


def test_the_commands_explain_and_tell_what_changed(controller, fleet):
    controller.load(fleet(2))
    store = Store.open(controller.environment["DRCLOUD_CMDB_URL"])
    with store.write(reason="begin", ticket="CHG-1") as session:
        hosts.transition(session, lookup.host(session, "dk-00001"), "provisioning")
    source = controller.source("groups: {new: \"dr_state == 'provisioning' and 'x' not in ['y']\"}\n")
    said = controller.good("drcloud", "inventory", "explain", "dk-00001", "new", "-i", source)
    assert said.startswith("dk-00001 is in new:\n  groups.new: dr_state ==")
    printed = controller.good("drcloud", "inventory", "diff", "ticket:CHG-1", "-i", source, "--json")
    assert json.loads(printed)["changed"] == [
        {
            "host": "dk-00001",
            "joined": ["new", "state_provisioning"],
            "left": ["state_planned"],
            "variables": {"dr_state": {"before": "planned", "after": "provisioning"}},
        }
    ]
    with pytest.raises(NotFoundError, match="there is no host 'dk-0001' in the CMDB: did you mean dk-00001"):
        inventory_view.explain(SourceFile(None, {"url": store.url}), "dk-0001", "new")
    with pytest.raises(
        NothingMatchedError, match=r"no rule makes a group 'role_dockr' .* did you mean role_docker"
    ):
        inventory_view.explain(SourceFile(None, {"url": store.url}), "dk-00001", "role_dockr")


def test_expressions_that_only_ansible_knows_are_evaluated_by_ansible(controller, fleet, monkeypatch):
    controller.load(fleet(2))
    for name in ("DRCLOUD_CMDB_URL", "ANSIBLE_COLLECTIONS_PATH"):
        monkeypatch.setenv(name, controller.environment[name])
    name = controller.source(
        "compose: {disks: \"dr_block_devices | map(attribute='path')\"}\n"
        "groups: {disky: disks | length > 0}\n"
    )
    source = sourcefile.load(controller.directory / name)
    told = inventory_view.explain(source, "dk-00001", "disky")
    assert told.because == [Reason("groups.disky", "disks | length > 0 (evaluated by Ansible)")]
    where = controller.source("where: dr_block_devices | map(attribute='path') | length > 7\n", "w.cmdb.yml")
    told = inventory_view.explain(sourcefile.load(controller.directory / where), "dk-00001", "role_docker")
    assert (told.member, told.against[0].rule) == (False, "where")
    with Store.open().write(reason="begin") as session:
        hosts.transition(session, lookup.host(session, "dk-00001"), "provisioning")
    before = str(Store.open().declared_seq() - 1)
    [change] = inventory_view.diff(source, before, "now").changed
    assert (change.host, change.joined, change.left) == (
        *("dk-00001", ["state_provisioning"], ["state_planned"]),
    )
