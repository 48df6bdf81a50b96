"""The example IDC as ansible-inventory, ansible and ansible-doc show it."""

from __future__ import annotations

import json
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "inventories" / "idc" / "idc.cmdb.yml"
OWNED = "{{ lookup('pipe', 'id') }}"


def test_the_graph_reads_from_the_idc_to_the_rack(idc):
    graph = idc.good("ansible-inventory", "-i", str(SOURCE), "--graph", "idc_sh1").splitlines()
    assert graph[:3] == ["@idc_sh1:", "  |--@rack_sh1_2f_a01:", "  |  |--bastion-01"]
    assert "  |--@rack_sh1_2f_a02:" in graph


def test_the_list_has_every_host_and_group(idc):
    inventory = idc.inventory(str(SOURCE))
    hosts = inventory["_meta"]["hostvars"]
    assert len(hosts) == 12
    assert inventory["app_portal_prod"]["hosts"] == ["dk-01", "dk-02", "dk-04", "dk-05"]
    assert inventory["env_qa"]["children"] == ["app_portal_qa"]
    assert inventory["room_sh1_2f"]["hosts"] == sorted(hosts)
    assert inventory["team_支付"]["hosts"] == ["dk-01", "dk-02", "dk-04", "dk-05"]
    assert hosts["dk-01"]["dr_placements"][0]["slots"].keys() == {"a", "b"}
    assert hosts["lb-02"]["dr_lb_pools"][0]["name"] == "portal_prod"


def test_a_host_shows_references_and_the_way_to_it_and_no_secret(idc):
    secret = {"DRCLOUD_REGISTRY_PASSWORD": "canary-7f3a"}
    text = idc.good("ansible-inventory", "-i", str(SOURCE), "--host", "dk-01", **secret)
    directory = idc.directory / ".local/state/drcloud/ssh"
    assert json.loads(text)["dr_registries"][0]["password"] == "env:DRCLOUD_REGISTRY_PASSWORD"
    assert json.loads(text)["ansible_ssh_common_args"] == f"-F {directory}/config"
    assert "Host dk-01 10.20.0.21\n" in (directory / "config").read_text()
    assert "canary-7f3a" not in text


def test_values_of_the_cmdb_are_never_templated(controller, fleet):
    controller.load(fleet(1, attrs={"owner": OWNED}))
    source = controller.source("compose:\n  said: dr_attrs.owner\n  mine: \"'{{' ~ dr_attrs.owner\"\n")
    variables = controller.inventory(source)["_meta"]["hostvars"]["dk-00000"]
    assert variables["dr_attrs"] == {"owner": OWNED}
    assert variables["said"] == OWNED
    assert variables["mine"] == "{{" + OWNED
    arguments = ("-c", "local", "-m", "debug", "-a", "msg='{{ [dr_attrs.owner, said] | join }}'")
    printed = controller.good("ansible", "dk-00000", "-i", source, *arguments)
    assert f'"msg": {json.dumps(OWNED + OWNED)}' in printed


def test_expressions_of_the_source_make_variables_and_groups(controller, fleet):
    controller.load(fleet(3))
    source = controller.source(
        "compose:\n  disks: dr_block_devices | map(attribute='path')\n"
        "groups:\n  first: inventory_hostname == 'dk-00000' and 'role_docker' in group_names\n"
        "keyed_groups:\n  - {prefix: port, key: ansible_port | string, parent_group: ports}\n"
    )
    inventory = controller.inventory(source)
    assert inventory["_meta"]["hostvars"]["dk-00001"]["disks"] == ["/dev/sdb"]
    assert inventory["first"]["hosts"] == ["dk-00000"]
    assert inventory["ports"]["children"] == ["port_22"]


def test_the_lookup_reads_a_secret_and_templates_nothing(idc):
    arguments = ("-m", "debug", "-a", "msg={{ lookup('dianrong.cloud.secret', 'env:CANARY') }}")
    printed = idc.good("ansible", "localhost", "-i", "localhost,", "-c", "local", *arguments, CANARY=OWNED)
    assert f'"msg": {json.dumps(OWNED)}' in printed


def test_the_lookup_says_what_is_missing(idc):
    arguments = ("-m", "debug", "-a", "msg={{ lookup('dianrong.cloud.secret', 'env:NOT_THERE') }}")
    result = idc.run("ansible", "localhost", "-i", "localhost,", "-c", "local", *arguments)
    assert result.returncode != 0
    assert (
        "secret env:NOT_THERE: the environment variable NOT_THERE is not set" in result.stdout + result.stderr
    )


def test_the_documentation_can_be_read(idc):
    text = idc.good("ansible-doc", "-t", "inventory", "dianrong.cloud.cmdb")
    assert all(option in text for option in ("keyed_groups", "identity_file", "DRCLOUD_CMDB_URL"))
    assert "env:NAME" in idc.good("ansible-doc", "-t", "lookup", "dianrong.cloud.secret")


def test_the_command_lists_the_hosts(idc):
    assert "portal@prod" in idc.good("drcloud", "inventory", "hosts")
    hosts = {host["name"]: host for host in json.loads(idc.good("drcloud", "inventory", "hosts", "--json"))}
    assert "rack_sh1_2f_a01" in hosts["dk-01"]["groups"]
    assert hosts["dk-01"]["variables"]["dr_attrs"] == {"team": "支付", "owner": "王磊"}


def test_the_command_prints_or_writes_the_ssh_configuration(idc):
    printed = idc.good("drcloud", "inventory", "ssh-config", "--directory", "out")
    assert f'UserKnownHostsFile "{idc.directory}/out/known_hosts"' in printed
    assert not (idc.directory / "out").exists()
    idc.good("drcloud", "inventory", "ssh-config", "--directory", "out", "--write")
    assert (idc.directory / "out" / "config").read_text() == printed


def test_both_ways_to_fill_print_the_same(idc):
    text = """
compose:
  label: dr_idc ~ '-' ~ (dr_attrs.team | default('nobody'))
  disks: dr_block_devices | length
groups:
  out_of_service: dr_state in ('maintenance', 'quarantined')
  no_balancer: dr_role != 'lb'
keyed_groups:
  - {prefix: label, key: label, parent_group: labels}
  - {prefix: in, key: group_names}
"""
    source = idc.source(text, "both.cmdb.yml")
    # Where variables are merged, only the public calls know how, and the plugin uses those.
    public = {"ANSIBLE_HASH_BEHAVIOUR": "merge"}
    for form in (("--list",), ("--graph", "--vars")):
        direct = idc.good("ansible-inventory", "-i", source, *form)
        assert direct == idc.good("ansible-inventory", "-i", source, *form, **public)
        assert "label_sh1" in direct
