"""What every host of the scenario has to be, looked at on the hosts."""

from __future__ import annotations

import json
import re

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

ROLES = {row.name: row.role for row in snapshot.read(Store.open()).hosts if row.state != "retired"}
UNITS = {"docker": "docker", "infra": "docker-registry", "lb": "haproxy", "bastion": "ssh"}
testinfra_hosts = [f"ssh://{name}" for name in ROLES]


def role(host):
    """Return the role of a host, as the CMDB declares it."""
    return ROLES[host.backend.get_hostname()]


def test_the_service_of_the_role_runs_and_comes_back_after_a_boot(host):
    unit = host.service(UNITS[role(host)])
    assert unit.is_running
    assert unit.is_enabled


def test_the_engine_follows_its_file(host):
    if role(host) != "docker":
        pytest.skip("no Docker host")
    wanted = json.loads(host.file("/etc/docker/daemon.json").content_string)
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is wanted["live-restore"] is True
    assert info["LoggingDriver"] == wanted["log-driver"] == "journald"


def test_no_engine_listens_on_the_network(host):
    """Without a proxy process, the engine itself holds the ports that containers publish; nothing else."""
    sockets = host.check_output("ss --no-header --listening --numeric --processes --tcp").splitlines()
    held = {line.split()[3].rpartition(":")[2] for line in sockets if '"dockerd"' in line}
    ports = host.check_output("docker ps --format '{{.Ports}}'") if role(host) == "docker" else ""
    assert held <= set(re.findall(r":(\d+)->", ports))
