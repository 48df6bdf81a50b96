"""The baseline of every host, looked at in the kernel, in the daemons and in what apt makes of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host as Machine

from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Look = Callable[[str], Machine]
Run = Callable[..., subprocess.CompletedProcess[str]]
HOST = "dk-05"
# How unattended-upgrades itself reads its configuration and judges names of packages.
JUDGE = """\
import importlib.machinery, importlib.util, json, sys
loader = importlib.machinery.SourceFileLoader("uu", "/usr/bin/unattended-upgrade")
uu = importlib.util.module_from_spec(importlib.util.spec_from_loader("uu", loader))
loader.exec_module(uu)
import apt_pkg
apt_pkg.init_config()
held = apt_pkg.config.value_list("Unattended-Upgrade::Package-Blacklist")
print(json.dumps({
    "origins": uu.get_allowed_origins(),
    "held": [name for name in sys.argv[1:] if uu.is_pkgname_in_blacklist(name, held)],
    "daily": apt_pkg.config.find("APT::Periodic::Unattended-Upgrade"),
}))
"""


@pytest.fixture
def baseline(play: Run, provisioned: Lab, tmp_path: Path) -> Run:
    """Apply the role alone to the host: ``baseline("--check", host_baseline_limits=[])``."""
    book = tmp_path / "baseline.yml"
    role = {"role": "dianrong.cloud.host_baseline"}
    book.write_text(json.dumps([{"hosts": HOST, "gather_facts": False, "become": True, "roles": [role]}]))

    def apply(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return play(str(book), "--diff", "--extra-vars", json.dumps(options), *arguments)

    return apply


def test_a_setting_changed_by_hand_is_the_only_drift_and_is_put_right(machine: Look, baseline: Run):
    host = machine(HOST)
    host.check_output("sysctl --write net.core.somaxconn=128")
    checked = baseline("--check")
    assert checked.returncode == 0, checked.stdout
    assert "changed=1 " in checked.stdout
    assert '-    "net.core.somaxconn": "128"' in checked.stdout
    assert host.sysctl("net.core.somaxconn") == 128
    repaired = baseline()
    assert "changed=1 " in repaired.stdout
    assert host.sysctl("net.core.somaxconn") == 4096


def test_an_unknown_setting_is_refused_before_anything_changes(machine: Look, baseline: Run):
    host = machine(HOST)
    path = "/etc/sysctl.d/99-zz-drcloud.conf"
    before = host.file(path).content_string
    extra = {"net.core.somaxcon": 1, "net.core.somaxconn": 1024}
    refused = baseline(host_baseline_extra_settings=extra)
    assert refused.returncode != 0
    assert "kernel settings net.core.somaxcon: this kernel does not know them" in refused.stdout
    assert host.sysctl("net.core.somaxconn") == 4096
    assert host.file(path).content_string == before


def test_the_time_comes_from_the_declared_server(machine: Look):
    host = machine(HOST)
    server = machine("infra-01").check_output("hostname --ip-address").split()[0]
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    deadline = time.monotonic() + 150
    # The first answers take some seconds after a start, and who missed them asks again after 64. The state
    # "*" is a server that is followed.
    while f"^,*,{server}," not in (seen := host.check_output("chronyc -n -c sources")):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
    assert len(seen.splitlines()) == 1


def test_security_updates_never_bring_another_engine(machine: Look):
    names = ["docker.io", "docker-ce", "docker-cli", "containerd", "containerd.io", "runc"]
    others = ["docker-registry", "openssl", "python3-docker"]
    said = machine(HOST).run("python3 -c %s " + " ".join(names + others), JUDGE)
    judged = json.loads(said.stdout)
    assert judged["held"] == names
    assert judged["daily"] == "1"
    assert [origin for origin in judged["origins"] if "label=Debian-Security" not in origin] == []
    assert judged["origins"]


def test_the_audit_watches_docker_and_does_not_claim_more(machine: Look, baseline: Run):
    """In the lab the kernel does not let itself be asked; a host of its own has the rules loaded."""
    host = machine(HOST)
    rules = host.file("/etc/audit/rules.d/60-drcloud-docker.rules")
    assert (rules.user, rules.mode) == ("root", 0o640)
    for path in ("/usr/sbin/dockerd", "/etc/docker/daemon.json", "/var/lib/docker", "/run/containerd"):
        assert f"-w {path} -p rwxa -k docker\n" in rules.content_string
    asked = host.run("auditctl -l || true")
    again = baseline()
    assert "changed=0 " in again.stdout
    said = "audit rules are on disk but not loaded" in again.stdout + again.stderr
    loaded = "-w /usr/sbin/dockerd" in asked.stdout
    assert said != loaded
