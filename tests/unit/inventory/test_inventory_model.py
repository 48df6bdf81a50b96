"""Hosts, groups and variables from a snapshot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drcloud.cmdb.inventory import Groups, build, groups_by_host
from drcloud.errors import InvalidInputError, NothingMatchedError


def test_a_host_carries_what_its_row_says(fleet):
    assert build(fleet).hosts["dk-01"] == {
        "ansible_host": "10.90.0.11",
        "ansible_port": 22,
        "ansible_user": "ops",
        "ansible_ssh_common_args": "-o ProxyJump=ops@10.90.0.5:2222",
        "dr_idc": "lab",
        "dr_room": "r1",
        "dr_rack": "lab/r1/a01",
        "dr_role": "docker",
        "dr_state": "active",
        "dr_serial": None,
        "dr_asset_tag": None,
        "dr_attrs": {},
        "dr_block_devices": [{"path": "/dev/sdb", "serial": None, "wwn": None, "purpose": "spare"}],
        "dr_placements": [{"app": "demo", "env": "prod", "slots": {"a": 20000, "b": 20001}}],
    }


def test_an_app_without_a_path_is_looked_at_by_connecting(fleet):
    [app] = fleet.apps
    for health in ({"kind": "tcp"}, {"kind": "exec", "command": ["/check"]}):
        spec = {"image": "dianrong/demo", "port": 8080, "health": health}
        variables = build(replace(fleet, apps=(replace(app, spec=spec),))).hosts["lb-01"]
        assert variables["dr_lb_pools"][0]["health_path"] == ""


def test_a_load_balancer_carries_its_pools_with_the_environments_health_check(fleet):
    variables = build(fleet).hosts["lb-01"]
    assert "dr_placements" not in variables
    assert variables["dr_lb_pools"] == [
        {
            "name": "demo_prod",
            "app": "demo",
            "env": "prod",
            "port": 80,
            "health_path": "/ready",
            "health_interval": 5.0,
            "maintenance": False,
            "min_in_service": 1,
            "members": [
                {"host": "dk-02", "address": "10.90.0.12", "slots": {"a": 20002, "b": 20003}},
                {"host": "dk-01", "address": "10.90.0.11", "slots": {"a": 20000, "b": 20001}},
            ],
            "mode": "http",
            "binds": [],
        }
    ]


def test_registries_are_everywhere_and_only_refer_to_secrets(fleet):
    assert build(fleet).everywhere == {
        "dr_registries": [
            {
                "name": "main",
                "endpoint": "10.90.0.31:5000",
                "username": "drcloud",
                "password": "file:/secrets/registry",
                "ca": "file:/ca.pem",
                "host": None,
                "port": 5000,
            }
        ]
    }


def test_groups_follow_place_role_state_and_placement(fleet):
    groups = build(fleet).groups
    assert dict(groups.members) == {
        "role_bastion": ["bastion-01"],
        "role_docker": ["dk-01", "dk-02"],
        "role_lb": ["lb-01"],
        "state_active": ["bastion-01", "dk-01", "dk-02", "lb-01"],
        "rack_lab_r1_a01": ["bastion-01", "dk-01", "lb-01"],
        "rack_lab_r2_b01": ["dk-02"],
        "app_demo_prod": ["dk-02", "dk-01"],
    }
    assert {parent: list(children) for parent, children in groups.children.items()} == {
        "idc_lab": ["rack_lab_r1_a01", "rack_lab_r2_b01"],
        "app_demo": ["app_demo_prod"],
        "env_prod": ["app_demo_prod"],
    }
    assert groups_by_host(groups)["dk-02"] == {
        *("role_docker", "state_active", "idc_lab", "rack_lab_r2_b01"),
        *("app_demo", "env_prod", "app_demo_prod"),
    }


def test_a_host_that_stands_nowhere_is_in_no_place(fleet, host):
    found = build(replace(fleet, hosts=(*fleet.hosts, host(name="dk-09", rack=None))))
    assert groups_by_host(found.groups)["dk-09"] == {"role_docker", "state_active"}
    assert found.hosts["dk-09"]["dr_rack"] is None


def test_names_of_any_script_are_kept_and_other_signs_become_an_underscore(fleet, host):
    found = build(replace(fleet, hosts=(*fleet.hosts, host(name="dk-09", rack="sh-1/机房2/a.01"))))
    assert {"idc_sh_1", "rack_sh_1_机房2_a_01"} < groups_by_host(found.groups)["dk-09"]


def test_a_retired_host_is_gone_also_from_placements_and_pools(fleet):
    hosts = tuple(replace(row, state="retired") if row.name == "dk-02" else row for row in fleet.hosts)
    found = build(replace(fleet, hosts=hosts))
    assert set(found.hosts) == {"bastion-01", "dk-01", "lb-01"}
    assert found.groups.members["app_demo_prod"] == ["dk-01"]
    assert [member["host"] for member in found.hosts["lb-01"]["dr_lb_pools"][0]["members"]] == ["dk-01"]


def test_a_placement_without_a_port_at_the_load_balancers_makes_no_pool(fleet):
    placements = tuple(replace(row, lb_port=None) for row in fleet.placements)
    assert build(replace(fleet, placements=placements)).hosts["lb-01"]["dr_lb_pools"] == []


def test_pools_of_two_balancers_share_nothing(fleet, host):
    second = host(name="lb-02", role="lb", address="10.90.0.22")
    placements = tuple(replace(row, lbs=("lb-01", "lb-02")) for row in fleet.placements)
    found = build(replace(fleet, hosts=(*fleet.hosts, second), placements=placements))
    first, other = found.hosts["lb-01"]["dr_lb_pools"], found.hosts["lb-02"]["dr_lb_pools"]
    assert first == other
    assert first[0]["members"][0] is not other[0]["members"][0]


@pytest.mark.parametrize(("state", "said"), [(None, "no hosts"), ("retired", "only retired hosts")])
def test_nothing_in_the_cmdb_is_an_error_that_says_what_to_do(fleet, host, state, said):
    hosts = (host(state=state),) if state else ()
    with pytest.raises(NothingMatchedError, match=rf"holds {said}: .*drcloud cmdb import"):
        build(replace(fleet, hosts=hosts, placements=()))


def test_two_racks_that_would_share_a_group_are_an_error_that_names_both(fleet, host):
    racks = {"dk-02": "lab/r1/a-01", "dk-03": "lab/r1/a.01"}
    hosts = tuple(host(name=name, rack=rack, ssh_via=None) for name, rack in racks.items())
    with pytest.raises(
        InvalidInputError, match=r"rack 'lab/r1/a-01' and rack 'lab/r1/a\.01' .* rack_lab_r1_a_01"
    ):
        build(replace(fleet, hosts=hosts, placements=()))


def test_an_app_named_like_another_apps_placement_is_an_error(fleet):
    other = replace(fleet.placements[0], app="demo_prod", env="qa")
    apps = (*fleet.apps, replace(fleet.apps[0], name="demo_prod"))
    with pytest.raises(InvalidInputError, match=r"app 'demo' in environment 'prod' and app 'demo_prod' "):
        build(replace(fleet, apps=apps, placements=(*fleet.placements, other)))


CODE = st.text("ab-_./机1", min_size=1, max_size=4)


@given(st.lists(st.lists(CODE, min_size=1, max_size=3).map(tuple), max_size=30))
def test_a_group_never_stands_for_two_things(sources):
    groups, meant = Groups(), {}
    for source in sources:
        try:
            name = groups.name("rack", *source)
        except InvalidInputError:
            continue
        assert meant.setdefault(name, source) == source
        assert name.isidentifier()


def test_with_an_ssh_configuration_every_host_uses_it(fleet):
    found = build(fleet, "/state of it/ssh/config")
    assert {row["ansible_ssh_common_args"] for row in found.hosts.values()} == {
        "-F '/state of it/ssh/config'"
    }
    assert found.everywhere["dr_ssh_config"] == "/state of it/ssh/config"


def test_without_one_the_way_through_two_bastions_is_told(fleet, host):
    outer = host(name="gate", role="bastion", address="fd00::5", ssh_via=None)
    hosts = [
        outer,
        *(replace(row, ssh_via="gate") if row.name == "bastion-01" else row for row in fleet.hosts),
    ]
    found = build(replace(fleet, hosts=tuple(hosts)))
    assert (
        found.hosts["dk-01"]["ansible_ssh_common_args"]
        == "-o ProxyJump='ops@[fd00::5]:22,ops@10.90.0.5:2222'"
    )


@pytest.mark.parametrize("bastion", [{"ssh_via": "dk-01"}, {"state": "retired"}])
def test_a_way_that_leads_nowhere_is_an_error(fleet, bastion):
    hosts = tuple(replace(row, **bastion) if row.name == "bastion-01" else row for row in fleet.hosts)
    with pytest.raises(InvalidInputError, match="the way through its bastion"):
        build(replace(fleet, hosts=hosts))
