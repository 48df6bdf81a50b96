"""The firewall, in the kernel of the hosts: closed but for the zones, and Docker's rules beside it."""

from __future__ import annotations

import json

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

ROLES = {row.name: row.role for row in snapshot.read(Store.open()).hosts if row.state != "retired"}
testinfra_hosts = [f"ssh://{name}" for name in ROLES]
# The file makes the table anew in a network namespace of its own, which ends with the command.
DECLARED = "unshare --net sh -c 'nft -f /etc/drcloud/firewall.nft && nft --stateless list table inet drcloud'"


def test_the_table_in_the_kernel_is_the_one_that_is_loaded_at_boot(host):
    assert host.check_output("nft --stateless list table inet drcloud") == host.check_output(DECLARED)
    assert host.service("drcloud-firewall").is_enabled
    assert host.service("drcloud-firewall").is_running
    assert not host.service("nftables").is_enabled


def test_what_no_rule_lets_in_stays_out(host):
    listed = json.loads(host.check_output("nft --json list chain inet drcloud input"))
    (chain,) = [item["chain"] for item in listed["nftables"] if "chain" in item]
    assert (chain["hook"], chain["policy"]) == ("input", "drop")


def test_no_change_waits_for_its_confirmation(host):
    assert not host.file("/var/lib/drcloud/guard/firewall/armed").exists
    assert not host.file("/var/lib/drcloud/guard/firewall/firing").exists


def test_dockers_rules_stand_beside_ours(host):
    if ROLES[host.backend.get_hostname()] != "docker":
        pytest.skip("no Docker host")
    assert "-A FORWARD -j DOCKER-USER" in host.check_output("iptables-save --table filter")
    assert "DOCKER" in host.check_output("iptables-save --table nat")
