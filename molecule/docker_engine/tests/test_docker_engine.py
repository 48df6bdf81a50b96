"""An engine as the role leaves it, looked at on its host."""

from __future__ import annotations

import json
import re
import socket

import pytest

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store

NAME = "dk-01"
ADDRESS = {row.name: row.address for row in snapshot.read(Store.open()).hosts}[NAME]
testinfra_hosts = [f"ssh://{NAME}"]


def options(host):
    return json.loads(host.file("/etc/docker/daemon.json").content_string)


def test_the_engine_runs_on_its_file_and_the_record_says_so(host):
    record = json.loads(host.file("/var/lib/drcloud/docker/daemon.applied.json").content_string)
    shown = host.check_output("systemctl show docker --property InvocationID --value")
    assert record["invocation"] == shown
    assert record["options"] == options(host)
    assert record["files"]["/usr/lib/systemd/system/docker.service"]


def test_the_engine_shows_what_was_asked_for(host):
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == options(host)["log-driver"] == "journald"


def test_the_running_engine_is_the_installed_one(host):
    program = host.check_output("readlink /proc/$(pidof dockerd)/exe")
    assert program == host.check_output("command -v dockerd")


def test_the_engine_holds_no_port_but_those_of_containers(host):
    sockets = host.check_output("ss --no-header --listening --numeric --processes --tcp").splitlines()
    held = {line.split()[3].rpartition(":")[2] for line in sockets if '"dockerd"' in line}
    assert held <= set(re.findall(r":(\d+)->", host.check_output("docker ps --format '{{.Ports}}'")))
    listening = host.check_output("systemctl show docker.socket --property Listen").splitlines()
    assert listening == ["Listen=/run/docker.sock (Stream)"]


@pytest.mark.parametrize("port", [2375, 2376])
def test_nothing_answers_at_the_ports_of_the_remote_api(port):
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((ADDRESS, port), timeout=3).close()


def test_only_root_reads_the_credentials_and_the_ca_lies_where_the_engine_looks(host):
    file = host.file("/etc/drcloud/docker/config.json")
    assert (file.user, file.group, file.mode) == ("root", "root", 0o600)
    for endpoint in json.loads(file.content_string)["auths"]:
        assert "BEGIN CERTIFICATE" in host.file(f"/etc/docker/certs.d/{endpoint}/ca.crt").content_string


def test_no_program_starts_services_behind_the_roles_back(host):
    assert not host.file("/usr/sbin/policy-rc.d").exists
