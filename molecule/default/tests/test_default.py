"""What every host of the scenario has to be, looked at on the hosts."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://all"]


def role(host):
    """Return the role of a host, as the CMDB gives it."""
    return host.ansible.get_variables()["dr_role"]


def test_the_service_of_the_role_runs_and_comes_back_after_a_boot(host):
    units = {"docker": "docker", "infra": "docker-registry", "lb": "haproxy", "bastion": "ssh"}
    unit = host.service(units[role(host)])
    assert unit.is_running
    assert unit.is_enabled


def test_the_engine_follows_its_file(host):
    if role(host) != "docker":
        pytest.skip("no Docker host")
    with host.sudo():
        wanted = json.loads(host.file("/etc/docker/daemon.json").content_string)
        info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is wanted["live-restore"] is True
    assert info["LoggingDriver"] == wanted["log-driver"] == "journald"


def test_no_engine_listens_on_the_network(host):
    with host.sudo():
        assert "dockerd" not in host.check_output("ss --listening --numeric --processes --tcp")
