"""What an inventory source may ask for, and what is said of a wrong wish."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drcloud.cmdb.inventory import build
from drcloud.cmdb.options import ON_REQUEST, USUAL, parse
from drcloud.cmdb.selection import Selection
from drcloud.errors import InvalidInputError, NothingMatchedError


def test_nothing_asked_is_everything_usual():
    options = parse({})
    assert options.selection == Selection()
    assert options.needed == set(USUAL)
    assert not options.hidden


def test_a_name_or_a_list_of_names_selects():
    assert parse({"state": "active", "idc": ["a", "b"], "env": "qa, prod"}).selection == Selection(
        state=("active",), idc=("a", "b"), env=("qa", "prod")
    )


def test_what_expressions_read_is_needed_and_hidden_unless_it_is_a_field():
    options = parse(
        {
            "fields": ["state", "dr_tags"],
            "where": "dr_idc == 'a'",
            "compose": {"x": "dr_attrs.x"},
            "groups": {"y": "dr_state == 'active'"},
            "keyed_groups": [{"key": "dr_serial"}],
            "hostname": ["asset_tag", "name"],
            "group_by": [["room", "rack"], "dr_model"],
        }
    )
    assert options.fields == ("dr_state", "dr_tags")
    assert options.hidden == {
        *("dr_idc", "dr_attrs", "dr_serial", "dr_asset_tag", "dr_room", "dr_rack", "dr_model")
    }


def test_an_expression_over_all_variables_needs_all():
    assert parse({"fields": [], "where": "vars['dr_' ~ 'idc'] == 'a'"}).needed >= {*USUAL, *ON_REQUEST}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"fields": ["stat"]}, "option fields: there is no host variable 'dr_stat': did you mean dr_state"),
    ({"fields": 7}, "option fields: it is a name or a list of names, not 7"),
    ({"state": {"a": 1}}, "option state: it is a name or a list of names"),
    ({"hostname": ["fqdn"]}, "option hostname: 'fqdn' is no path into the variables of a host"),
    ({"hostname": ["attrs."]}, "option hostname: 'attrs.' is no path"),
    ({"group_by": ["idcs"]}, "option group_by: 'idcs' is no path into the variables of a host: did you mean"),
    ({"group_by": [{"a": 1}]}, "is neither a path nor a list of paths, outermost first"),
    ({"group_by": [[]]}, "is neither a path nor a list of paths, outermost first"),
    ({"group_by": "idc"}, "option group_by: it is a list, not 'idc'"),
    (
        {"group_by": ["attrs.team", ["idc", "attrs.old.team"]]},
        "groups by dr_attrs.team and by dr_attrs.old.team would share names; take one out",
    ),
    ({"duplicates": "skp"}, "option duplicates: 'skp' is none of error, qualify, skip"),
    ({"as_of": "7", "drift": True}, "option drift: it compares with what was observed last"),
    ({"where": ["x"]}, "option where: it is a text"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[said for _options, said in WRONG])
def test_a_wrong_option_is_named_with_what_is_wrong(options, said):
    with pytest.raises(InvalidInputError) as error:
        parse(options)
    assert said in str(error.value)


def test_only_fields_and_the_connection_are_shown_and_hidden_ones_are_told(fleet):
    found = build(fleet, options=parse({"fields": ["state"], "where": "dr_attrs.x == 1"}))
    assert found.hosts["dk-02"] == {
        "ansible_host": "10.90.0.12",
        "ansible_port": 22,
        "ansible_user": "ops",
        "ansible_ssh_common_args": "-o ProxyJump=ops@10.90.0.5:2222",
        "dr_state": "active",
        "dr_attrs": {},
    }
    assert found.hidden == {"dr_attrs"}


def test_variables_on_request(fleet, host):
    addresses = ({"address": "10.90.0.11", "purpose": "management", "nic": "eth0", "vrf": None},)
    row = host(ssh_via=None, model="R740", rack_unit=12, tags=("ssd", "金融"), addresses=addresses)
    found = build(replace(fleet, hosts=(row,), placements=()), options=parse({"fields": list(ON_REQUEST)}))
    shown = found.hosts["dk-01"]
    assert {name: shown[name] for name in ON_REQUEST} == {
        "dr_addresses": list(addresses),
        "dr_model": "R740",
        "dr_name": "dk-01",
        "dr_rack_unit": 12,
        "dr_tags": ["ssd", "金融"],
    }
    assert found.groups.members["tag_金融"] == ["dk-01"]


def test_where_decides_after_the_query_and_pools_stay_whole(fleet):
    seen: list[str] = []

    def keep(name, variables):
        seen.append(name)
        return variables["dr_role"] == "lb"

    found = build(fleet, options=parse({"where": "dr_role == 'lb'"}), keep=keep)
    assert seen == ["bastion-01", "dk-01", "dk-02", "lb-01"]
    assert set(found.hosts) == {"lb-01"}
    assert len(found.hosts["lb-01"]["dr_lb_pools"][0]["members"]) == 2
    assert set(found.groups.members) == {"role_lb", "state_active", "rack_lab_r1_a01"}


def test_no_host_left_is_an_error_that_names_the_filters_unless_it_is_allowed(fleet):
    options = parse({"role": ["lb"], "idc": ["a", "b"], "where": "false"})
    with pytest.raises(
        NothingMatchedError, match="no host of the CMDB matches idc a or b and role lb and where false: "
    ):
        build(fleet, options=options, keep=lambda *_: False)
    empty = build(fleet, options=replace(options, allow_empty=True), keep=lambda *_: False)
    assert (empty.hosts, dict(empty.groups.members)) == ({}, {})
    assert "dr_registries" in empty.everywhere
