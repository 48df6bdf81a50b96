"""The baseline, looked at on the hosts: in the kernel, the daemons, and in what apt makes of it."""

from __future__ import annotations

import re
import time

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

ROLES = {row.name: row.role for row in snapshot.read(Store.open()).hosts if row.state != "retired"}
testinfra_hosts = [f"ssh://{name}" for name in ROLES]


def test_the_kernel_has_the_settings_of_its_file(host):
    lines = host.file("/etc/sysctl.d/99-zz-drcloud.conf").content_string.splitlines()
    wanted = dict(line.split(" = ") for line in lines if not line.startswith(("#", "-")))
    names = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in wanted)
    assert wanted
    assert host.check_output(f"cat {names}").split("\n") == list(wanted.values())


def tracking(host):
    """Return what chrony follows; chronyc(1), "tracking", as comma-separated values."""
    fields = host.check_output("chronyc -n -c tracking").split(",")
    return {"server": fields[1], "stratum": fields[2], "leap": fields[-1]}


def test_the_time_is_kept(host):
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    declared = re.findall(r"(?m)^server (\S+)", host.file("/etc/chrony/chrony.conf").content_string)
    deadline = time.monotonic() + 150
    # A client follows a declared server some seconds after it was started, or asks again after 64; a server
    # that has none serves its own clock, which chrony shows without an address.
    while (seen := tracking(host))["leap"] != "Normal" or seen["server"] not in (declared or [""]):
        assert time.monotonic() < deadline, (seen, declared)
        time.sleep(0.5)
    assert 0 < int(seen["stratum"]) < 16
    assert not host.file("/etc/chrony/chrony.conf").contains("debian.pool")


def test_updates_leave_the_engine_alone(host):
    settings = host.check_output("apt-config dump Unattended-Upgrade")
    assert 'Package-Blacklist:: "docker\\.io$"' in settings
    assert "label=Debian-Security" in settings
    assert 'Automatic-Reboot "false"' in settings


def test_logins_have_their_limits(host):
    assert host.file("/etc/security/limits.d/60-drcloud.conf").contains("hard nofile 65536")


def test_a_docker_host_has_rules_for_the_audit(host):
    rules = host.file("/etc/audit/rules.d/60-drcloud-docker.rules")
    if ROLES[host.backend.get_hostname()] != "docker":
        assert not rules.exists
        pytest.skip("no Docker host")
    assert (rules.user, rules.group, rules.mode) == ("root", "root", 0o640)
    for path in ("/usr/sbin/dockerd", "/etc/docker", "/etc/docker/daemon.json", "/usr/bin/containerd"):
        assert f"-w {path} -p rwxa -k docker\n" in rules.content_string
