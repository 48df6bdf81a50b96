"""What is there of a lab, and how to use it."""

from __future__ import annotations

import concurrent.futures
import socket
from dataclasses import asdict, dataclass
from typing import Any

from drcloud.lab import engine, hosts
from drcloud.lab.identity import Lab
from drcloud.lab.prepare import recall

# A busy machine takes its time; only a host that is down or hung takes all of it.
_BANNER_SECONDS = 10.0


@dataclass(frozen=True)
class HostStatus:
    """One host: its container's state, and whether an SSH server answers at its address."""

    name: str
    role: str
    address: str
    container: str
    ssh: bool


@dataclass(frozen=True)
class LabStatus:
    """A lab as it is now."""

    id: str
    state: str
    subnet: str | None
    docker_host: str | None
    engine: bool
    hosts: tuple[HostStatus, ...]

    @property
    def present(self) -> bool:
        """Whether anything of the lab is there."""
        return self.subnet is not None

    @property
    def ready(self) -> bool:
        """Whether every host can be used."""
        return self.engine and bool(self.hosts) and all(host.ssh for host in self.hosts)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "ready": self.ready}


def read(lab: Lab) -> LabStatus:
    """Return the lab's status; changes nothing."""
    record = recall(lab)
    if not record:
        return LabStatus(lab.id, str(lab.state), None, None, False, ())
    alive = engine.answers(record["docker_host"])
    states = hosts.states(record) if alive else {}
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        greeted = list(pool.map(lambda host: _greets(host["address"]), record["hosts"]))
    entries = tuple(
        HostStatus(host["name"], host["role"], host["address"], states.get(host["name"], "missing"), ssh)
        for host, ssh in zip(record["hosts"], greeted, strict=True)
    )
    return LabStatus(lab.id, str(lab.state), record["subnet"], record["docker_host"], alive, entries)


def environment(lab: Lab) -> dict[str, str]:
    """Return the variables that make ``drcloud``, Ansible and Docker clients use this lab."""
    return {
        "DRCLOUD_LAB_ID": lab.id,
        "DRCLOUD_LAB_STATE": str(lab.state),
        "DRCLOUD_CMDB_URL": lab.cmdb_url,
        "DRCLOUD_INVENTORY": str(lab.checkout / "inventories" / "lab" / "lab.cmdb.yml"),
        "ANSIBLE_CONFIG": str(lab.checkout / "ansible.cfg"),
        "DOCKER_HOST": recall(lab).get("docker_host", f"unix://{lab.socket}"),
    }


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=_BANNER_SECONDS) as connection:
            connection.settimeout(_BANNER_SECONDS)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
