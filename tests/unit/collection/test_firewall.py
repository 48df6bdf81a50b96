"""Zones and services: who may use what, which zone an address is in, and what makes no firewall."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dianrong.cloud.plugins.module_utils import _firewall

OFFICE = {"name": "office", "prefixes": ["10.0.0.0/8", "fd00::/16"], "allows": ["ping", "apps"]}
MANAGEMENT = {"name": "management", "prefixes": ["10.90.0.0/26"], "allows": ["ssh", "ping"]}
SERVICES = {"ssh": [22], "apps": [20001, 20000], "registry": [], "time": ["123/udp"]}
HERE = "10.90.0.15"


def plan(*zones, **options):
    return _firewall.plan(zones or (OFFICE, MANAGEMENT), SERVICES, HERE, **options)


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ("10.90.0.5", "management"),
        ("10.90.0.64", "office"),
        ("fd00::1", "office"),
        # How a socket of both families shows a client of IPv4.
        ("::ffff:10.90.0.5", "management"),
        ("192.0.2.1", None),
        ("fe80::1", None),
    ],
)
def test_an_address_is_in_the_zone_of_the_longest_prefix(address, zone):
    assert _firewall.zone_of(plan().owners, address) == zone


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.90.0.5", None),
        (
            "10.1.2.3",
            "10.1.2.3, where this connection comes from, is in zone office, which allows apps, ping and so",
        ),
        ("192.0.2.1", "192.0.2.1, where this connection comes from, is in no zone"),
    ],
)
def test_who_would_be_locked_out_is_told(address, why):
    objection = _firewall.objection(plan(), address, 22)
    assert objection is None if why is None else objection.startswith(why)


def test_ssh_at_a_port_that_no_service_names_is_locked_out():
    assert "so not TCP port 2222" in _firewall.objection(plan(), "10.90.0.5", 2222)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        (
            {**OFFICE, "allows": ["htpp"]},
            r"zone office allows 'htpp', which is no service; known are apps, ping",
        ),
        ({**OFFICE, "prefixes": ["10.0.0.1/8"]}, r"zone office: prefix 10\.0\.0\.1/8: .*host bits"),
        ({**OFFICE, "prefixes": ["10.90.0.0/26"]}, "is in the zones office and management"),
    ],
)
def test_a_zone_that_makes_no_sense_is_refused(zone, message):
    with pytest.raises(_firewall.FirewallError, match=message):
        plan(zone, MANAGEMENT)


@pytest.mark.parametrize("value", [0, 65536, "http", "22/icmp", "", "22-25", -1])
def test_what_is_no_port_is_refused(value):
    with pytest.raises(_firewall.FirewallError, match=r"service ssh: .* is no port"):
        _firewall.ports("ssh", [value])


def test_ports_are_sorted_by_protocol():
    assert _firewall.ports("dns", [53, "53/udp", "5353/udp", "53"]) == _firewall.Ports((53,), (53, 5353))


def test_a_service_without_ports_cannot_get_some():
    with pytest.raises(_firewall.FirewallError, match="service vrrp has no ports"):
        _firewall.ports("vrrp", [112])


def test_containers_may_what_their_hosts_zone_may_as_far_as_the_site_lets_them():
    allowed = plan(container_services=["ping", "apps"]).containers.allows
    assert allowed == ("ping",)
    assert plan(OFFICE, container_services=["ping", "apps"]).containers.allows == ("apps", "ping")


def test_bridges_behind_nat_hold_containers_and_uplinks_have_their_addresses():
    bridges = [
        {"name": "nat0", "mode": "nat", "containers": None},
        {"name": "uplink0", "mode": "uplink", "containers": "10.90.0.128/25"},
    ]
    containers = plan(bridges=bridges, interfaces=["docker0", "br-*"]).containers
    assert containers.interfaces == ("docker0", "br-*", "nat0")
    assert containers.networks == (ipaddress.ip_network("10.90.0.128/25"),)


def test_an_uplink_that_looks_like_a_bridge_of_containers_is_refused():
    """All that comes in by an uplink would count as containers of this host."""
    bridge = {"name": "br-uplink", "mode": "uplink", "containers": None}
    with pytest.raises(_firewall.FirewallError, match=r"br-uplink is an uplink, but br-\* counts it"):
        plan(bridges=[bridge], interfaces=["br-*"])


@pytest.mark.parametrize("name", ['docker0" accept', "with blank", "", "*", "a-name-too-long-for-it"])
def test_what_is_no_interface_is_refused(name):
    with pytest.raises(_firewall.FirewallError, match="expected a name"):
        plan(interfaces=[name])


# Networks in a corner of the address space, so that many lie within others.
corner = st.builds(
    lambda number, length: ipaddress.ip_network(
        ((10 << 24 | number << 16) >> (32 - length) << (32 - length), length)
    ),
    st.integers(0, 255),
    st.integers(0, 16),
)


@given(st.dictionaries(corner, st.sampled_from("abc"), max_size=12), st.integers(0, 255))
def test_the_first_step_that_matches_is_the_longest_prefix(owners, number):
    """The kernel takes the first rule; the zone of an address is that of the longest prefix."""
    address = ipaddress.ip_address(10 << 24 | number << 16)
    first = next(
        (zone for zone, nets in _firewall.steps(owners) if any(address in net for net in nets)), None
    )
    assert first == _firewall.zone_of(owners, str(address))


def test_a_zone_stands_in_one_step_where_nothing_has_to_come_between():
    assert _firewall.steps(plan().owners) == [
        ("management", (ipaddress.ip_network("10.90.0.0/26"),)),
        ("office", (ipaddress.ip_network("fd00::/16"),)),
        ("office", (ipaddress.ip_network("10.0.0.0/8"),)),
    ]


@pytest.mark.parametrize("bridge", [{"name": "br0"}, {"name": "br0", "mode": "overlay"}, {"mode": "nat"}])
def test_a_bridge_that_makes_no_sense_is_refused(bridge):
    with pytest.raises(_firewall.FirewallError, match="expected a name, and mode nat or uplink"):
        plan(bridges=[bridge])


def test_what_is_no_address_or_network_is_named():
    with pytest.raises(
        _firewall.FirewallError, match="address 'dk-05': 'dk-05' does not appear to be an IPv4"
    ):
        _firewall.plan([OFFICE], SERVICES, "dk-05")
    bridge = {"name": "br0", "mode": "uplink", "containers": "10.90.0.1/24"}
    with pytest.raises(
        _firewall.FirewallError, match=r"containers on an uplink: 10\.90\.0\.1/24 has host bits"
    ):
        plan(bridges=[bridge])
