"""Groups by the values at any path, nested and flat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drcloud.cmdb.grouping import groups_by_host
from drcloud.cmdb.inventory import build
from drcloud.cmdb.options import parse
from drcloud.errors import InvalidInputError

OWNED = "{{ lookup('pipe', 'id') }}"


@pytest.fixture
def grouped(fleet, host):
    """Build an inventory of hosts with these fields, grouped by these entries."""

    def make(hosts, *entries):
        rows = tuple(host(name=name, ssh_via=None, **fields) for name, fields in hosts.items())
        rows = replace(fleet, hosts=rows, placements=())
        return build(rows, options=parse({"group_by": list(entries)}))

    return make


def test_idc_room_rack_nest_and_a_host_stays_where_its_place_ends(grouped):
    places = {"dk-1": {"rack": "sh1/2f/a01"}, "dk-2": {"rack": "sh1/3f/a01"}, "dk-3": {"rack": None}}
    groups = grouped(places, ["idc", "room", "rack"]).groups
    assert {parent: list(children) for parent, children in groups.children.items()} == {
        "idc_sh1": ["room_sh1_2f", "room_sh1_3f"],
        "room_sh1_2f": ["rack_sh1_2f_a01"],
        "room_sh1_3f": ["rack_sh1_3f_a01"],
    }
    assert groups.members["rack_sh1_3f_a01"] == ["dk-2"]
    assert "idc_sh1" in groups_by_host(groups)["dk-1"]
    assert groups_by_host(groups)["dk-3"] == {"role_docker", "state_active"}


def test_a_level_that_ends_leaves_the_host_in_the_group_above(grouped):
    hosts = {"dk-1": {"attrs": {"a": "x", "b": 1}}, "dk-2": {"attrs": {"a": "x"}}}
    groups = grouped(hosts, ["attrs.a", "attrs.b"]).groups
    assert groups.members["a_x"] == ["dk-2"]
    assert groups.members["b_x_1"] == ["dk-1"]
    assert list(groups.children["a_x"]) == ["b_x_1"]


def test_every_item_of_a_list_on_the_way_counts(grouped):
    hosts = {"dk-1": {"tags": ("ssd", "gpu")}, "dk-2": {"tags": ("ssd",), "attrs": {"on": True}}}
    groups = grouped(hosts, "block_devices.purpose", "tags", "attrs.on").groups
    assert groups.members["purpose_spare"] == ["dk-1", "dk-2"]
    assert groups.members["tag_ssd"] == groups.members["tags_ssd"] == ["dk-1", "dk-2"]
    assert groups.members["tags_gpu"] == ["dk-1"]
    assert groups.members["on_True"] == ["dk-2"]


def test_values_are_text_whatever_they_look_like(grouped):
    groups = grouped({"dk-1": {"attrs": {"team": OWNED}}}, "attrs.team").groups
    assert groups.members["team____lookup__pipe____id_____"] == ["dk-1"]


def test_a_path_that_is_called_like_our_groups_keeps_its_whole_name(grouped):
    groups = grouped({"dk-1": {"attrs": {"role": "docker"}}}, "attrs.role", "role").groups
    assert groups.members["attrs_role_docker"] == groups.members["role_docker"] == ["dk-1"]


def test_two_values_that_would_share_a_group_are_an_error_that_names_both(grouped):
    hosts = {"dk-1": {"attrs": {"team": "a-b"}}, "dk-2": {"attrs": {"team": "a b"}}}
    with pytest.raises(InvalidInputError, match=r"team 'a b' and team 'a-b' would both be .* team_a_b"):
        grouped(hosts, "attrs.team")


def test_a_mapping_is_no_value(grouped):
    with pytest.raises(InvalidInputError, match="dr_attrs of host dk-1 is a mapping; name one of its fields"):
        grouped({"dk-1": {"attrs": {"team": "x"}}}, "attrs")


def test_a_path_that_no_host_has_is_a_warning(grouped):
    found = grouped({"dk-1": {"attrs": {"team": "x"}}}, "role", "attrs.taem")
    assert found.warnings == ("group_by[1] groups no host: none has a value for dr_attrs.taem",)
