"""``drcloud host`` on real hosts: a card tells what the host itself tells, and provision goes by name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host as Machine

from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
INVENTORY = "inventories/lab/lab.cmdb.yml"
HOST = "dk-05"
Look = Callable[[str], Machine]


def drcloud(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "drcloud", "host", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=lab.checkout, timeout=600)


@pytest.fixture(scope="module")
def card(provisioned: Lab) -> dict[str, Any]:
    """What the CMDB knows of a provisioned Docker host."""
    done = drcloud(provisioned, "show", HOST, "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_card_has_the_size_of_the_host(card: dict[str, Any], machine: Look) -> None:
    look = machine(HOST)
    capacity = card["capacity"]
    assert capacity["cpus"]["total"] == int(look.check_output("grep -c ^processor /proc/cpuinfo"))
    kibibytes = look.check_output("awk '/^MemTotal:/ {print $2}' /proc/meminfo")
    assert capacity["memory"]["total"] == int(kibibytes) * 1024
    promised = 128 * 1024**2  # what demo's specification gives an instance
    assert capacity["memory"]["promised"] == promised
    assert capacity["memory"]["left"] == capacity["memory"]["total"] - promised
    declared = [disk for disk in capacity["disks"] if disk["declared"]]
    sizes = {disk["declared"]["path"]: disk["size"] for disk in declared}
    assert sizes
    assert sizes == {path: int(look.check_output("blockdev --getsize64 %s", path)) for path in sizes}


def test_a_card_has_the_engine_and_the_pinned_keys(card: dict[str, Any], machine: Look) -> None:
    look = machine(HOST)
    engine = look.check_output("docker version --format '{{.Server.Version}}'")
    assert (card["state"], card["facts"]["engine"]["version"]) == ("active", engine)
    listed = look.check_output("cat /etc/ssh/ssh_host_*_key.pub | ssh-keygen -lf -").splitlines()
    assert {one["fingerprint"] for one in card["keys"]} <= {line.split()[1] for line in listed}
    assert card["keys"]


def test_a_list_has_every_docker_host_with_its_engine(provisioned: Lab) -> None:
    done = drcloud(provisioned, "list", "--role", "docker", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == [f"dk-0{number}" for number in range(1, 7)]
    assert all(row["engine"] and row["memory"] and row["placed"] == 1 for row in rows)


def test_a_host_by_name_is_provisioned_and_no_other(provisioned: Lab, machine: Look) -> None:
    look, file = machine("bastion-01"), "/etc/security/limits.d/60-drcloud.conf"
    look.check_output("rm %s", file)
    done = drcloud(provisioned, "provision", "bastion-01", "--json", "-i", INVENTORY)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    document = json.loads(done.stdout)
    assert (document["exit_code"], set(document["hosts"])) == (0, {"bastion-01"})
    assert document["hosts"]["bastion-01"]["changed"]
    assert look.file(file).exists
