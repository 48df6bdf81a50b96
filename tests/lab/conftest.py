"""The shared lab: booted when it is down, and made the target of everything the tests call."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host as Machine
from tests.lab.rolling import (
    BROKEN,
    FIRST,
    HOSTS,
    LATE,
    PICKY,
    SECOND,
    SICK,
    Run,
    deploy,
    drcloud,
    said,
    tags,
    vip,
    wait_for,
)

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store
from drcloud.lab import status
from drcloud.lab.identity import Lab, locate

INVENTORY = "inventories/lab/lab.cmdb.yml"
# The road in its order: what resets hosts, or needs the ports of the app, comes before what deploys to them.
ORDER = ("test_lab_hosts", "test_provision", "test_firewall")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of the lab in the order of the road; all others stay where they are."""

    def position(item: pytest.Item) -> int:
        name = Path(item.fspath).stem
        return next((place for place, prefix in enumerate(ORDER) if name.startswith(prefix)), len(ORDER))

    places = [place for place, item in enumerate(items) if item.get_closest_marker("lab")]
    ordered = sorted((items[place] for place in places), key=position)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab of this checkout, up and in the environment of this process."""
    found = locate()
    if not status.read(found).ready:
        booted = subprocess.run(
            [sys.executable, "-m", "drcloud", "lab", "up"], check=False, capture_output=True, text=True
        )
        assert booted.returncode == 0, f"{booted.stdout}\n{booted.stderr}"
    os.environ.update(status.environment(found))
    return found


@pytest.fixture(scope="session")
def on(lab: Lab) -> Run:
    """Run a shell command on a host over SSH: ``on("dk-01", "sudo id")``."""

    def run(host: str, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", "-F", str(lab.ssh / "lab_config"), host, command],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def play(lab: Lab) -> Run:
    """Run a playbook on the lab: ``play("dianrong.cloud.provision", "--check")``."""

    def run(playbook: str, *arguments: str, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", INVENTORY, playbook]
        return subprocess.run(
            [*command, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=lab.checkout,
            env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
        )

    return run


@pytest.fixture(scope="session")
def declared(lab: Lab) -> Lab:
    """The lab, declared in its CMDB."""
    for arguments in (["init"], ["cmdb", "import", str(lab.declaration)]):
        done = subprocess.run(
            [sys.executable, "-m", "drcloud", *arguments], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return lab


@pytest.fixture(scope="session")
def provisioned(declared: Lab, play: Run) -> Lab:
    """The lab with all hosts provisioned, as this site does it."""
    done = play("playbooks/provision.yml")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return declared


@pytest.fixture(scope="session")
def machine(provisioned: Lab) -> Callable[[str], Machine]:
    """Look at a provisioned host as root: ``machine("dk-01").file("/etc/passwd")``."""

    def look(host: str) -> Machine:
        # Looks come in rows; what is made anew between them is not asked through a connection of before.
        config = provisioned.ssh / "look_config"
        return testinfra.get_host(f"ssh://{host}", ssh_config=str(config), controlpersist=5, sudo=True)

    return look


@pytest.fixture(scope="session")
def urls(provisioned: Lab) -> list[str]:
    """The app at both load balancers."""
    seen = snapshot.read(Store.open())
    addresses = {host.name: host.address for host in seen.hosts}
    placement = next(row for row in seen.placements if (row.app, row.env) == ("demo", "prod"))
    return [f"http://{addresses[lb]}:{placement.lb_port}/" for lb in placement.lbs]


@pytest.fixture(scope="session")
def clients(urls: list[str]) -> list[str]:
    """Where the load of a roll asks: at both load balancers, and at the VIP that one of them holds."""
    return [*urls, vip()]


@pytest.fixture(scope="session")
def built(provisioned: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two good releases, and what is made of the first to be no good: see ``rolling.BROKEN``."""
    for tag in (FIRST, SECOND):
        done = drcloud("build", "demo", "--tag", tag, "--source", str(provisioned.checkout / "apps/demo"))
        assert done.returncode == 0, said(done)
    endpoint = snapshot.read(Store.open()).registries[0].endpoint
    base = f"BASE={endpoint}/dianrong/demo:{FIRST}"
    for tag in (SICK, LATE, PICKY):
        source = tmp_path_factory.mktemp(tag)
        (source / "Dockerfile").write_text(BROKEN[tag], encoding="utf-8")
        done = drcloud("build", "demo", "--tag", tag, "--source", str(source), "--build-arg", base)
        assert done.returncode == 0, said(done)


@pytest.fixture
def on_first(built: None) -> None:
    """All hosts run the first release."""
    if tags() != dict.fromkeys(HOSTS, FIRST):
        done = deploy(FIRST)
        assert done.returncode == 0, said(done)


@pytest.fixture
def locks_are_free(built: None) -> Iterator[None]:
    """Whatever happened in a test, nobody is left holding a lock."""
    yield
    # A playbook's heartbeat gives back a moment after it; what is left to expire takes 30 seconds.
    wait_for(lambda: not leases.held(Store.open()), 20)
