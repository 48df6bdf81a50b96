"""The central log, looked at on its server and on a client."""

from __future__ import annotations

import json
import time

import pytest

SERVER, CLIENT = "infra-01", "dk-04"
testinfra_hosts = [f"ssh://{SERVER}", f"ssh://{CLIENT}"]
LOGS = "/var/log/drcloud"


def only_on(host, name):
    """Skip a test that is about the other host."""
    if host.backend.get_hostname() != name:
        pytest.skip(f"looks at {name}")


def test_the_server_takes_logs_over_tls_as_nobody_else(host):
    only_on(host, SERVER)
    assert host.service("drcloud-log-server").is_running
    assert host.service("drcloud-log-server").is_enabled
    assert host.socket("tcp://0.0.0.0:20514").is_listening
    pid = host.check_output("systemctl show drcloud-log-server --property MainPID --value")
    assert host.check_output(f"stat --format %U /proc/{pid}") == "drcloud-log"
    key = host.file("/etc/drcloud/log-server/tls.pem")
    assert (key.user, key.group, key.mode) == ("root", "drcloud-log", 0o640)
    root = host.file(LOGS)
    assert (root.user, root.group, root.mode) == ("drcloud-log", "adm", 0o750)


def test_the_server_keeps_its_limits(host):
    only_on(host, SERVER)
    assert host.service("drcloud-log-keeper.timer").is_running
    assert host.service("drcloud-log-reserve").is_running
    assert host.run("systemctl start drcloud-log-keeper.service").succeeded
    state = json.loads(host.file("/var/lib/drcloud/log-server/state.json").content_string)
    assert state["files"] > 0
    assert (
        state["bytes"]
        <= json.loads(host.file("/etc/drcloud/log-server/keeper.json").content_string)["keep_bytes"]
    )


def test_the_client_forwards_the_journal(host):
    assert host.service("rsyslog").is_running
    assert host.service("rsyslog").is_enabled
    assert host.service("drcloud-log-health.timer").is_running
    key = host.file("/etc/drcloud/log-client/tls.pem")
    assert (key.user, key.mode) == ("root", 0o600)
    deadline = time.monotonic() + 60
    look = "ss --no-header --tcp --processes state established dport = 20514"
    # One that has lost its server tries again after half a minute at most.
    while "rsyslogd" not in host.check_output(look):
        assert time.monotonic() < deadline, "the forwarder has no connection"
        time.sleep(1)


def test_the_client_counts_what_its_queue_takes(host):
    """rsyslog tells its counters every ten seconds: the report has found those of the queue among them."""
    deadline = time.monotonic() + 60
    while not (health := _health(host))["seen"]["taken"]:
        assert time.monotonic() < deadline, f"the queue's counters were not found: {health}"
        time.sleep(3)


def _health(host):
    assert host.run("systemctl start drcloud-log-health.service").succeeded
    return json.loads(host.file("/var/lib/drcloud/log-client/health.json").content_string)


def test_the_journal_has_declared_limits(host):
    shown = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "SystemMaxUse=2G" in shown
    assert "RateLimitBurst=200000" in shown
    assert host.file("/var/log/journal").is_directory


def test_a_line_of_the_host_is_in_the_servers_file(host):
    only_on(host, CLIENT)
    word = f"molecule-{time.time_ns()}"
    host.check_output(f"logger --tag drc-test {word}")
    server = host.get_host(f"ssh://{SERVER}", ssh_config=host.backend.ssh_config, sudo=True)
    deadline = time.monotonic() + 60
    while not server.run(f"grep --quiet {word} {LOGS}/lab/_host/_/{CLIENT}/*.log").succeeded:
        assert time.monotonic() < deadline, f"{word} did not arrive"
        time.sleep(0.3)
