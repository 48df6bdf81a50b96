"""What hosts are called in an inventory, and what becomes of those that share a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drcloud.cmdb.inventory import build
from drcloud.cmdb.options import parse
from drcloud.errors import InvalidInputError

OWNED = "{{ lookup('pipe', 'id') }}"


@pytest.fixture
def named(fleet, host):
    """Build an inventory of hosts with these fields, by name, with these options."""

    def make(hosts, **options):
        rows = tuple(host(name=name, ssh_via=None, **fields) for name, fields in hosts.items())
        return build(replace(fleet, hosts=rows, placements=()), options=parse(options))

    return make


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("name", "dk-1"),
        ("serial", "SN-7"),
        ("asset_tag", "资产-0042"),
        ("address", "10.90.0.11"),
        ("dr_attrs.dns.fqdn", "dk-1.sh1.example"),
        ("attrs.dns.fqdn", "dk-1.sh1.example"),
        (["attrs.nothing", "serial"], "SN-7"),
    ],
)
def test_a_host_is_called_as_the_source_chooses(named, choice, name):
    row = {"serial": "SN-7", "asset_tag": "资产-0042", "attrs": {"dns": {"fqdn": "dk-1.sh1.example"}}}
    found = named({"dk-1": row}, hostname=choice)
    assert list(found.hosts) == [name]
    assert found.groups.members["role_docker"] == [name]
    assert found.labels == {"dk-1": name}


def test_a_host_without_the_choice_is_named(named):
    with pytest.raises(
        InvalidInputError, match=r"host dk-1 has no dr_serial or dr_attrs\.fqdn to be named by"
    ):
        named({"dk-1": {}}, hostname=["serial", "attrs.fqdn"])


@pytest.mark.parametrize("value", [OWNED, "a b", "-a", "a,b", "a\nb", 7, ["a", "b"], {"a": "b"}])
def test_a_value_that_is_no_name_is_refused_as_text(named, value):
    with pytest.raises(
        InvalidInputError, match=r"host dk-1: its dr_attrs\.fqdn .* cannot be the name of a host"
    ):
        named({"dk-1": {"attrs": {"fqdn": value}}}, hostname="attrs.fqdn")


SHARED = {
    "dk-1": {"attrs": {"n": "web"}},
    "dk-2": {"attrs": {"n": "web"}, "rack": "b/r1/x"},
    "dk-3": {"attrs": {"n": "db"}},
}


def test_a_shared_name_is_an_error_that_names_the_hosts(named):
    with pytest.raises(InvalidInputError, match=r"share a name in the inventory: 'web' \(dk-1 and dk-2\);"):
        named(SHARED, hostname="attrs.n")


def test_shared_names_are_qualified_by_idc_and_else_by_the_name_in_the_cmdb(named):
    assert set(named(SHARED, hostname="attrs.n", duplicates="qualify").hosts) == {"web@lab", "web@b", "db"}
    three = SHARED | {"dk-4": {"attrs": {"n": "web"}}, "dk-5": {"attrs": {"n": "web"}, "rack": None}}
    assert set(named(three, hostname="attrs.n", duplicates="qualify").hosts) == {
        *("web@dk-1", "web@b", "db", "web@dk-4", "web@dk-5")
    }


def test_shared_names_can_be_left_out_all_of_them_and_loudly(named):
    found = named(SHARED, hostname="attrs.n", duplicates="skip")
    assert list(found.hosts) == ["db"]
    assert found.groups.members["role_docker"] == ["db"]
    assert found.warnings == ("left out of the inventory, because they share a name: 'web' (dk-1 and dk-2)",)


def test_a_name_that_looks_like_a_qualified_one_is_shared_too(named):
    taken = SHARED | {"dk-9": {"attrs": {"n": "web@lab"}}}
    assert set(named(taken, hostname="attrs.n", duplicates="qualify").hosts) == {
        *("web@dk-1", "web@b", "db", "web@lab@dk-9")
    }
