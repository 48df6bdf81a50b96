"""The lab's hosts are what a host in a real IDC is to drCloud."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest

from drcloud.lab import status
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_ten_hosts_answer(lab: Lab) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "drcloud", "lab", "status", "--json"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    hosts = json.loads(shown.stdout)["hosts"]
    assert sorted(host["name"] for host in hosts) == [
        "bastion-01", "dk-01", "dk-02", "dk-03", "dk-04", "dk-05", "dk-06", "infra-01", "lb-01", "lb-02",
    ]  # fmt: skip
    assert all(host["ssh"] for host in hosts)


def test_systemd_runs_and_ops_has_sudo(on: Run) -> None:
    answer = on("dk-01", "ps -p 1 -o comm= && sudo -n id -u && id -un")
    assert answer.stdout.split() == ["systemd", "0", "ops"]


def test_root_cannot_log_in(lab: Lab) -> None:
    tried = subprocess.run(
        ["ssh", "-F", str(lab.ssh / "lab_config"), "-l", "root", "bastion-01", "true"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert tried.returncode == 255
    assert "Permission denied" in tried.stderr


def test_only_the_bastion_is_reached_directly(lab: Lab) -> None:
    address = next(host.address for host in status.read(lab).hosts if host.name == "dk-01")
    direct = subprocess.run(
        ["ssh", "-F", str(lab.ssh / "lab_config"), address, "true"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert direct.returncode == 255
    assert "Permission denied" in direct.stderr


def test_hosts_know_each_other_by_name(on: Run) -> None:
    assert on("dk-02", "getent ahostsv4 infra-01 && cat /etc/hostname").stdout.split()[-1] == "dk-02"


def test_each_host_has_an_identity_of_its_own(on: Run) -> None:
    identities = {
        on(host, "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub").stdout
        for host in ("dk-01", "dk-02")
    }
    assert len(identities) == 2


def test_the_fleet_is_of_two_debian_releases(on: Run) -> None:
    told = {
        host: on(host, ". /etc/os-release && echo $VERSION_CODENAME").stdout.strip()
        for host in ("dk-01", "dk-06")
    }
    assert told["dk-06"] == "trixie"
    assert told["dk-01"] == platform.freedesktop_os_release()["VERSION_CODENAME"]


def test_docker_hosts_have_a_raw_disk(on: Run) -> None:
    answer = on("dk-03", "test -b /dev/drc-spare && sudo blockdev --getsize64 /dev/drc-spare")
    assert int(answer.stdout) == 4 << 30
    assert on("lb-01", "test -e /dev/drc-spare").returncode == 1


def test_packages_can_be_fetched(on: Run) -> None:
    answer = on("lb-02", "sudo apt-get update -qq && apt-cache policy haproxy | grep Candidate", timeout=120)
    assert "Candidate: " in answer.stdout
    assert "(none)" not in answer.stdout


def test_up_again_changes_nothing(lab: Lab) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "drcloud", "lab", "up"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    assert "changed=0" in again.stdout
