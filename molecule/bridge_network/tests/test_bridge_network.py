"""The declared bridges, looked at on the hosts: links, addresses, routes, Docker's networks and rules."""

from __future__ import annotations

import ipaddress
import json

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.inventory import SUBNET_LENGTHS
from drcloud.cmdb.store import Store

BRIDGED = {
    row.name: row for row in snapshot.read(Store.open()).hosts if row.bridges and row.state != "retired"
}
testinfra_hosts = [f"ssh://{name}" for name in BRIDGED]


def declared(host, mode):
    """Return the bridges of a host and mode, and the host's row."""
    row = BRIDGED[host.backend.get_hostname()]
    found = [bridge for bridge in row.bridges if bridge["mode"] == mode]
    if not found:
        pytest.skip(f"no bridge of mode {mode}")
    return found, row


def shown(host, command):
    return json.loads(host.check_output(command))


def test_the_bridge_stands_in_the_place_of_the_interface(host):
    bridges, row = declared(host, "uplink")
    for bridge in bridges:
        links = {entry["ifname"]: entry for entry in shown(host, "ip -json address show")}
        nic, link = links[bridge["nic"]], links[bridge["name"]]
        assert nic["master"] == bridge["name"]
        assert nic["address"] == link["address"]
        assert nic["mtu"] == link["mtu"]
        assert not [one for one in nic["addr_info"] if one["scope"] == "global"]
        assert row.address in [one["local"] for one in link["addr_info"]]
        assert shown(host, "ip -json route show default")[0]["dev"] == bridge["name"]


def test_the_bridge_comes_back_after_a_boot(host):
    for bridge in declared(host, "uplink")[0]:
        assert host.service(f"drcloud-bridge-{bridge['name']}").is_enabled
        assert not host.file("/var/lib/drcloud/guard/network/armed").exists


def test_containers_get_addresses_of_the_reserved_slice(host):
    bridges, row = declared(host, "uplink")
    for bridge in bridges:
        network = shown(host, f"docker network inspect {bridge['name']}")[0]
        config = network["IPAM"]["Config"][0]
        part = ipaddress.ip_network(config["IPRange"])
        assert part.subnet_of(ipaddress.ip_network(bridge["containers"]))
        assert part.prefixlen == (bridge["length"] or SUBNET_LENGTHS["uplink"])
        assert ipaddress.ip_address(row.address) in ipaddress.ip_network(config["Subnet"])
        assert ipaddress.ip_address(row.address) not in part
        assert network["Options"]["com.docker.network.bridge.inhibit_ipv4"] == "true"


def test_nobody_translates_the_addresses_of_an_uplink(host):
    rules = host.check_output("iptables -t nat -S POSTROUTING")
    for bridge in declared(host, "uplink")[0]:
        config = shown(host, f"docker network inspect {bridge['name']}")[0]["IPAM"]["Config"][0]
        assert f"-s {config['Subnet']} " not in rules


def test_docker_translates_behind_a_nat_bridge(host):
    rules = host.check_output("iptables -t nat -S POSTROUTING")
    for bridge in declared(host, "nat")[0]:
        config = shown(host, f"docker network inspect {bridge['name']}")[0]["IPAM"]["Config"][0]
        assert f"-s {config['Subnet']} ! -o {bridge['name']} -j MASQUERADE" in rules


def test_dockers_chain_for_users_is_asked_first(host):
    assert host.check_output("iptables -S FORWARD").splitlines()[1] == "-A FORWARD -j DOCKER-USER"


def test_there_is_no_overlay_network(host):
    assert host.check_output("docker network ls --quiet --filter driver=overlay") == ""
