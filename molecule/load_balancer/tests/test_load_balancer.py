"""The pair of load balancers, looked at on the hosts."""

from __future__ import annotations

import os
import time

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
    """All servers of the file are in the process at their places, and none else."""
    config = "/etc/haproxy/haproxy.cfg"
    servers = f"""awk '$1 == "backend" {{ b = $2 }} $1 == "server" {{ print b, $2, $3 }}' {config}"""
    said = host.check_output("echo 'show servers state' | socat - UNIX-CONNECT:/run/haproxy/admin.sock")
    rows = [line.split() for line in said.splitlines() if line[:1].isdigit() and " " in line]
    found = {f"{row[1]} {row[3]} {row[4]}:{row[18]}" for row in rows}
    assert found == set(host.check_output(servers).splitlines())


def test_it_can_listen_at_a_vip_that_it_does_not_hold(host):
    assert host.sysctl("net.ipv4.ip_nonlocal_bind") == 1


def test_each_vip_is_held_once():
    """Asked of all load balancers, for none of them can tell of the others."""
    config = os.path.join(os.environ["DRCLOUD_LAB_STATE"], "ssh", "config")
    balancers = [testinfra.get_host(name, ssh_config=config, sudo=True) for name in testinfra_hosts]
    deadline = time.monotonic() + 30
    while True:
        # The hosts are asked one after the other, and a VIP may move in between.
        shown = [balancer.check_output("ip -4 -oneline address") for balancer in balancers]
        held = {vip["name"]: sum(f" {vip['address']}/" in text for text in shown) for vip in VIPS}
        if set(held.values()) == {1} or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert set(held.values()) == {1}, held
