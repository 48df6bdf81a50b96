"""The registry, looked at on its host."""

from __future__ import annotations

testinfra_hosts = ["ssh://infra-01"]
HOME = "/etc/drcloud/registry"


def test_it_runs_as_its_own_user_and_comes_back_after_a_boot(host):
    unit = host.service("docker-registry")
    assert unit.is_running
    assert unit.is_enabled
    assert host.check_output("systemctl show docker-registry --property=User --value") == "docker-registry"


def test_it_serves_tls_only(host):
    assert host.socket("tcp://0.0.0.0:5000").is_listening or host.socket("tcp://:::5000").is_listening
    assert "minimumtls: tls1.3" in host.file(f"{HOME}/config.yml").content_string


def test_nobody_else_reads_its_secrets(host):
    for name, mode, group in (
        ("tls.pem", 0o640, "docker-registry"),
        ("htpasswd", 0o640, "docker-registry"),
        ("secret", 0o600, "root"),
    ):
        file = host.file(f"{HOME}/{name}")
        assert (file.user, file.group, file.mode) == ("root", group, mode)
    assert "REGISTRY_HTTP_SECRET=" in host.file(f"{HOME}/secret").content_string


def test_it_is_shut_off_from_its_host(host):
    pid = host.check_output("systemctl show docker-registry --property=MainPID --value")
    status = dict(line.split(":", 1) for line in host.check_output(f"cat /proc/{pid}/status").splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapBnd"], 16) == 0
    assert status["Seccomp"].strip() == "2"


def test_it_says_how_it_is_to_its_host_alone(host):
    assert host.socket("tcp://127.0.0.1:5001").is_listening
    assert not host.socket("tcp://0.0.0.0:5001").is_listening


def test_pushes_are_taken(host):
    """No garbage collection has left it in read-only mode."""
    pid = host.check_output("systemctl show docker-registry --property=MainPID --value")
    assert "READONLY" not in host.check_output(f"tr '\\0' '\\n' < /proc/{pid}/environ")
