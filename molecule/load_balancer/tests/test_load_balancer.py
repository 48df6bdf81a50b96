"""The pair of load balancers, looked at on the hosts."""

from __future__ import annotations

import os

import pytest
import testinfra

from drcloud.cmdb import reading
from drcloud.cmdb.store import Store

VIPS = [found.fields for found in reading.read(Store.open(), "vip", [])]
testinfra_hosts = ["ssh://lb-01", "ssh://lb-02"]


@pytest.mark.parametrize("name", ["haproxy", "keepalived", "drcloud-lb-state.socket"])
def test_what_serves_runs_and_comes_back_after_a_boot(host, name):
    unit = host.service(name)
    assert unit.is_running
    assert unit.is_enabled


@pytest.mark.parametrize(
    "command",
    ["haproxy -c -q -f /etc/haproxy/haproxy.cfg", "keepalived -t -f /etc/keepalived/keepalived.conf"],
)
def test_the_programs_accept_their_configuration(host, command):
    assert host.run(command).rc == 0


def test_haproxy_runs_with_the_configuration_that_is_there(host):
    """All pools of the file are in the process, and none else."""
    backends = host.check_output("grep -oP '^backend \\K\\S+' /etc/haproxy/haproxy.cfg || true").split()
    said = host.check_output("echo 'show servers state' | socat - UNIX-CONNECT:/run/haproxy/admin.sock")
    rows = [line.split() for line in said.splitlines() if line[:1].isdigit() and " " in line]
    assert {row[1] for row in rows} == set(backends)


def test_it_can_listen_at_a_vip_that_it_does_not_hold(host):
    assert host.sysctl("net.ipv4.ip_nonlocal_bind") == 1


def test_each_vip_is_held_once():
    """Asked of all load balancers, for none of them can tell of the others."""
    config = os.path.join(os.environ["DRCLOUD_LAB_STATE"], "ssh", "config")
    balancers = [testinfra.get_host(name, ssh_config=config, sudo=True) for name in testinfra_hosts]
    shown = [balancer.check_output("ip -4 -oneline address") for balancer in balancers]
    for vip in VIPS:
        assert sum(f" {vip['address']}/" in text for text in shown) == 1
