"""Two labs never meet: each moves the declared prefix to its own /24."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drcloud.errors import InvalidInputError
from drcloud.lab import addresses

OLD = IPv4Network("10.90.0.0/24")
NEW = IPv4Network("10.65.7.0/24")


def test_renumbers_addresses_and_networks_and_nothing_else() -> None:
    document = {
        "prefixes": [{"cidr": "10.90.0.0/24"}],
        "hosts": [{"name": "dk-01", "address": "10.90.0.11", "gateway": "10.90.0.1/24"}],
        "other": ["10.91.0.11", "10.90.0", "dk-10.90.0.11", 5000, None, True],
    }
    assert addresses.renumber(document, OLD, NEW) == {
        "prefixes": [{"cidr": "10.65.7.0/24"}],
        "hosts": [{"name": "dk-01", "address": "10.65.7.11", "gateway": "10.65.7.1/24"}],
        "other": ["10.91.0.11", "10.90.0", "dk-10.90.0.11", 5000, None, True],
    }


def test_renumbering_leaves_its_input_alone() -> None:
    document = {"hosts": [{"address": "10.90.0.11"}]}
    addresses.renumber(document, OLD, NEW)
    assert document == {"hosts": [{"address": "10.90.0.11"}]}


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists))
def test_renumbering_back_gives_the_original(value: object) -> None:
    there = addresses.renumber(["10.90.0.200", value], OLD, NEW)
    assert addresses.renumber(there, NEW, OLD) == ["10.90.0.200", value]


def test_a_lab_gets_the_same_network_each_time() -> None:
    assert addresses.choose("abc123", []) == addresses.choose("abc123", [])
    assert addresses.choose("abc123", []) != addresses.choose("abc124", [])


def test_a_network_in_use_is_passed_over() -> None:
    first, second = islice(addresses.candidates("abc123"), 2)
    assert addresses.choose("abc123", [first]) == second
    assert addresses.choose("abc123", [first.supernet(new_prefix=20)]) != first


def test_says_so_when_no_network_is_free() -> None:
    with pytest.raises(InvalidInputError, match="no free /24"):
        addresses.choose("abc123", [IPv4Network("10.0.0.0/8")])


OUTSIDE = [{"cidr": "10.90.0.0/24"}, {"cidr": "10.91.0.0/25"}]


@pytest.mark.parametrize("prefixes", [[], [{"cidr": "10.90.0.0/16"}], OUTSIDE])
def test_the_lab_declares_one_24_around_all(prefixes: list[dict[str, str]]) -> None:
    with pytest.raises(InvalidInputError, match="one /24 prefix"):
        addresses.declared({"prefixes": prefixes})


def test_other_prefixes_of_the_lab_lie_in_its_24() -> None:
    prefixes = [{"cidr": "10.90.0.128/25"}, {"cidr": "10.90.0.0/24"}, {"cidr": "fd00:90::/64"}]
    assert addresses.declared({"prefixes": prefixes}) == IPv4Network("10.90.0.0/24")
