"""The pair of load balancers, looked at on the hosts."""

from __future__ import annotations

import pytest

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


def test_each_vip_is_held_once(host):
    """A host knows of itself only; the neighbours' table knows the other one."""
    for vip in VIPS:
        mine = vip["address"] in host.check_output("ip -4 -oneline address")
        answers = host.run(f"ping -c 1 -W 2 {vip['address']}").succeeded
        assert mine or answers


def test_health_answers_where_it_should_and_the_admin_socket_is_for_root(host):
    assert host.run("/usr/local/lib/drcloud/haproxy-alive").succeeded
    assert host.file("/run/haproxy/admin.sock").mode == 0o600
