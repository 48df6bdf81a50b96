"""The options of a source as real ansible commands show them."""

from __future__ import annotations

import json

OWNED = "{{ lookup('pipe', 'id') }}"
MANY = """
idc: sh1
role: [docker, lb]
where: dr_name in ('dk-01', 'dk-02', 'dk-03', 'lb-01')
fields: [state, lb_pools]
group_by:
  - [idc, room, rack]
  - dr_attrs.team
hostname: [attrs.fqdn, name]
compose:
  team: dr_attrs.team | default('none')
"""


def test_one_source_selects_names_groups_and_shows_only_what_it_asks_for(idc):
    inventory = idc.inventory(idc.source(MANY, "many.cmdb.yml"))
    hosts = inventory["_meta"]["hostvars"]
    assert set(hosts) == {"dk-01", "dk-02", "dk-03", "lb-01"}
    shown = {name for name in hosts["dk-01"] if not name.startswith("ansible_")}
    assert shown == {"dr_state", "dr_registries", "team"}
    assert hosts["dk-01"]["team"] == "支付"
    assert len(hosts["lb-01"]["dr_lb_pools"][0]["members"]) == 4
    assert inventory["idc_sh1"]["children"] == ["room_sh1_2f"]
    assert inventory["team_支付"]["hosts"] == ["dk-01", "dk-02"]


def test_stored_templates_come_out_as_text_on_every_way(controller, fleet):
    controller.load(fleet(2, attrs={"owner": OWNED, "by": {OWNED: OWNED}}))
    source = controller.source(
        "compose: {said: dr_attrs.owner, upper: dr_attrs.owner | upper | reverse | list | length}\n"
        "groups: {owned: \"dr_attrs.owner.startswith('{')\", plain: 'dr_attrs.owner == 1'}\n"
        "keyed_groups: [{prefix: k, key: dr_attrs.owner}, {prefix: d, key: dr_attrs.by}]\n"
        "group_by: [attrs.owner]\n"
        "where: dr_attrs.owner != 'x'\n"
    )
    inventory = controller.inventory(source)
    variables = inventory["_meta"]["hostvars"]["dk-00001"]
    assert variables["said"] == variables["dr_attrs"]["owner"] == OWNED
    assert variables["upper"] == len(OWNED)
    groups = {name for name, group in inventory.items() if "dk-00001" in group.get("hosts", ())}
    made = {name for name in groups if "lookup" in name}
    text = "___lookup__pipe____id_____"
    assert made == {f"owner_{text}", f"k_{text}", f"d_{text}_{text}"}
    assert "owned" in groups
    assert "uid=" not in json.dumps(inventory)
    refused = controller.run(
        "ansible-inventory", "-i", controller.source("hostname: attrs.owner\n"), "--list"
    )
    assert f"host dk-00000: its dr_attrs.owner {OWNED!r} cannot be the name of a host" in refused.stderr


def test_the_inventory_as_it_was_before_a_ticket(controller, fleet):
    controller.load(fleet(2))
    before = controller.inventory(controller.source())
    controller.load(fleet(3, serial=None, attrs={"new": 1}), ticket="CHG-1")
    assert controller.inventory(controller.source("as_of: ticket:CHG-1\n")) == before


def test_a_stale_inventory_is_used_only_when_asked_and_loudly(controller, fleet):
    controller.load(fleet(2))
    kept = "cached: true\ncache_directory: ${HOME}/kept\nssh: {directory: ssh}\n"
    source = controller.source(kept + "use_stale_cache: true\n")
    fresh = controller.inventory(source)
    (controller.directory / "cmdb.sqlite3").rename(controller.directory / "away")
    (controller.directory / "ssh" / "config").unlink()
    used = controller.run("ansible-inventory", "-i", source, "--list")
    assert "STALE INVENTORY: there is no CMDB in" in used.stderr
    assert json.loads(used.stdout, object_hook=lambda one: one.get("__ansible_unsafe", one)) == fresh
    assert "Host dk-00000" in (controller.directory / "ssh" / "config").read_text()
