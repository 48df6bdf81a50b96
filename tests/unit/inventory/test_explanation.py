"""Why a host is in a group or not, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drcloud.cmdb import explanation
from drcloud.cmdb.construction import Rules
from drcloud.cmdb.explanation import Reason, conjuncts
from drcloud.cmdb.inventory import build
from drcloud.cmdb.options import FIELDS, parse
from drcloud.cmdb.selection import Selection


@pytest.fixture
def told(fleet):
    """Explain a host and a group of the fleet under a source."""

    def explain(host, group, **source):
        options = replace(parse(source), fields=FIELDS)
        return explanation.explain(build(fleet, options=options), options, Rules(options), host, group)

    return explain


def test_a_rule_of_the_cmdb_and_the_way_through_a_child_group(told):
    assert told("dk-01", "role_docker").because == [Reason("role", "hosts whose role is docker")]
    found = told("dk-01", "env_prod")
    assert found.member is True
    assert found.because == [Reason("placement", "hosts of the placement demo@prod", "app_demo_prod")]


def test_a_group_of_others_says_what_the_host_is_instead(told):
    found = told("dk-01", "role_lb")
    assert found.member is False
    assert found.against == [Reason("role", "hosts whose role is lb; it is docker")]
    assert told("lb-01", "app_demo_prod").against[0].detail.endswith("; it has none")


def test_every_rule_that_makes_a_group_is_told(told):
    found = told("dk-01", "idc_lab", group_by=[["idc", "room", "rack"]])
    assert [(one.rule, one.through) for one in found.because] == [
        ("rack", "rack_lab_r1_a01"),
        ("group_by[0]", "rack_lab_r1_a01"),
    ]


def test_the_false_part_of_a_condition_is_told_with_what_it_sees(told):
    condition = "dr_role == 'docker' and (dr_state == 'planned' or dr_idc == 'x') and dr_room == 'r1'"
    found = told("dk-01", "odd", groups={"odd": condition})
    assert found.against == [
        Reason(
            "groups.odd",
            "(dr_state == 'planned' or dr_idc == 'x') is false (dr_idc is 'lab', dr_state is 'active')",
        )
    ]
    assert told("dk-01", "odd", groups={"odd": "dr_role == 'docker'"}).because == [
        Reason("groups.odd", "dr_role == 'docker' is true")
    ]


def test_keyed_groups_tell_the_groups_that_they_give(told):
    keyed = [{"key": "dr_role", "prefix": "is", "parent_group": "roles"}]
    assert told("dk-01", "is_docker", keyed_groups=keyed).because == [
        Reason("keyed_groups[0]", "dr_role gives is_docker")
    ]
    assert told("dk-01", "roles", keyed_groups=keyed).because[0].through == "is_docker"
    assert told("dk-01", "is_lb", keyed_groups=keyed).against == [
        Reason("keyed_groups[0]", "dr_role gives is_docker")
    ]


def test_what_only_ansible_can_evaluate_is_left_open_also_through_a_composed_variable(told):
    source = {
        "compose": {"disks": "dr_block_devices | map(attribute='path')"},
        "groups": {"many": "disks | length > 1", "few": "'x' in lookup('env', 'X')"},
        "keyed_groups": [{"key": "disks"}],
    }
    found = told("dk-01", "many", **source)
    assert found.member is None
    assert [one.rule for one in found.unknown] == ["groups.many", "keyed_groups[0]"]
    assert told("dk-01", "few", **source).member is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a and b", ["a", "b"]),
        ("a == 'x and y' and (b or c) and not d", ["a == 'x and y'", "(b or c)", "not d"]),
        ("a and b or c", ["a and b or c"]),
        ("a if b and c else d", ["a if b and c else d"]),
        ("x['and'] and [y and z]", ["x['and']", "[y and z]"]),
        ("single", ["single"]),
    ],
)
def test_the_parts_of_a_condition(text, parts):
    assert conjuncts(text) == parts


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"state": "planned"}, Reason("state", "its state is active, the source asks for planned")),
        ({"idc": "sh1,sh2"}, Reason("idc", "its idc is lab, the source asks for sh1 or sh2")),
        ({"role": "lb"}, Reason("role", "its role is docker, the source asks for lb")),
        ({"env": "qa"}, Reason("placement", "its placements are demo@prod, the source asks for qa")),
        (
            {"env": "prod", "app": "x"},
            Reason("placement", "its placements are demo@prod, the source asks for x and prod"),
        ),
        (
            {"where": "dr_role == 'docker' and dr_state == 'planned'"},
            Reason("where", "dr_state == 'planned' is false (dr_state is 'active')"),
        ),
    ],
)
def test_why_a_host_is_not_selected(fleet, source, reason):
    options = parse(source)
    [host] = [row for row in fleet.hosts if row.name == "dk-01"]
    seen = build(fleet).hosts["dk-01"]
    rules = Rules(options)
    assert list(explanation.why_not_selected(host, fleet.placements, options, rules, seen)) == [reason]


def test_a_retired_host_is_selected_only_by_its_state(fleet, host):
    seen = build(fleet).hosts["dk-01"]
    [reason] = explanation.why_not_selected(host(state="retired"), (), parse({}), Rules(parse({})), seen)
    assert reason.detail.startswith("it is retired")
    assert parse({"state": "retired"}).selection == Selection(state=("retired",))


def test_the_groups_that_keyed_groups_make_of_all_hosts(fleet):
    def made(*keyed):
        options = replace(parse({"keyed_groups": list(keyed)}), fields=FIELDS)
        return explanation.keyed_groups(build(fleet, options=options), Rules(options))

    assert made() == (set(), False)
    assert made({"key": "dr_role", "prefix": "is", "parent_group": "kinds"}) == (
        {"is_bastion", "is_docker", "is_lb", "kinds"},
        False,
    )
    assert made({"key": "dr_attrs.nothing"}) == (set(), False)
    assert made({"key": "dr_role | regex_replace('a', 'b')"})[1] is True
