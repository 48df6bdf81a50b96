"""Everything the role needs to know and find before it touches the engine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from drcloud.errors import DrcloudError
from drcloud.lab import addresses, apt, engine, material
from drcloud.lab.identity import Lab

_RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
_CERTIFICATES = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True)
class Host:
    """One lab host as the role makes it."""

    name: str
    container: str
    address: str
    role: str
    release: str
    disks: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the role makes; also what ``lab.json`` remembers."""

    id: str
    name: str
    release: str
    state: str
    cache: str
    subnet: str
    gateway: str
    bastion: str
    docker_host: str
    own_engine: bool
    registry: str
    releases: tuple[str, ...]
    hosts: tuple[Host, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def prepare(lab: Lab) -> tuple[Plan, bool]:
    """Write keys, secrets, the renumbered import file and the hosts' seed; return the plan."""
    lab.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    document = yaml.safe_load(lab.source.read_text(encoding="utf-8"))
    old = addresses.declared(document)
    record = recall(lab)
    subnet = IPv4Network(record["subnet"]) if record else addresses.choose(lab.id, _routed())
    moved = addresses.renumber(document, old, subnet)
    plan = _plan(lab, moved, subnet, engine.choose(lab, os.environ, record.get("docker_host")))
    changed = [
        # The record comes first: whatever follows can then be found and removed.
        material.write(lab.record, (json.dumps(plan.as_dict(), indent=2) + "\n").encode(), 0o644),
        material.ensure_ssh_key(lab.ssh, f"drcloud-lab-{lab.id}"),
        material.ensure_ca(lab.state / "ca", f"drCloud lab {lab.id}"),
        material.ensure_password(lab.state / "secrets" / "registry-password"),
        material.write(lab.declaration, _dump(moved), 0o644),
        *_seed(lab, plan),
    ]
    return plan, any(changed)


def recall(lab: Lab) -> dict[str, Any]:
    """Return what ``lab.json`` remembers; empty when there is no lab or its record is unreadable."""
    try:
        record = json.loads(lab.record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and "subnet" in record else {}


def recipes(lab: Lab) -> Path:
    """Write how this machine fetches packages, for the images of each release; return the directory."""
    directory = lab.state / "recipe"
    certificates = {f"ca/{path.name}": path.read_bytes() for path in _CERTIFICATES.glob("**/*.crt")}
    own, sources, settings = _codename(), apt.sources(), apt.settings()
    for release in recall(lab)["releases"]:
        lines = apt.for_release(sources, own, release)
        content = {**certificates, "apt.conf": settings.encode(), "sources.list": lines.encode()}
        for name, text in content.items():
            material.write(directory / release / name, text, 0o644)
    return directory


def _codename() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _plan(lab: Lab, document: dict[str, Any], subnet: IPv4Network, docker_host: str) -> Plan:
    own = _codename()
    hosts = tuple(_host(lab, entry, own) for entry in document["hosts"])
    by_name = {host.name: host for host in hosts}
    registry = document["registries"][0]
    return Plan(
        id=lab.id,
        name=lab.name,
        release=own,
        state=str(lab.state),
        cache=str(lab.cache),
        subnet=str(subnet),
        gateway=str(subnet[1]),
        bastion=next(host.address for host in hosts if host.role == "bastion"),
        docker_host=docker_host,
        own_engine=docker_host == f"unix://{lab.socket}",
        registry=f"{by_name[registry['host']].address}:{registry['port']}",
        releases=tuple(sorted({own, *(host.release for host in hosts)})),
        hosts=hosts,
    )


def _host(lab: Lab, entry: dict[str, Any], release: str) -> Host:
    """Return a host of the import file; ``attrs.release`` names another Debian than this machine's."""
    disks = entry.get("block_devices", [])
    own_data = any(disk["purpose"] == "docker-data" for disk in disks)
    return Host(
        name=entry["name"],
        container=f"{lab.name}-{entry['name']}",
        address=entry["address"],
        role=entry["role"],
        release=entry.get("attrs", {}).get("release", release),
        disks=tuple(Path(disk["path"]).name for disk in disks),
        # An engine needs a real file system below it: a disk of its own, else one of this machine.
        volumes=() if own_data else ("/var/lib/docker",),
    )


def _seed(lab: Lab, plan: Plan) -> list[bool]:
    """Write what each host mounts at /lab: names, resolver, the controller's public key."""
    directory = lab.state / "hosts"
    names = "".join(f"{host.address}\t{host.name}\n" for host in plan.hosts)
    hosts_file = f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n{names}"
    key = (lab.ssh / "id_ed25519.pub").read_bytes()
    changed = [
        material.write(directory / "common" / "hosts", hosts_file.encode(), 0o644),
        material.write(directory / "common" / "resolv.conf", _resolver().encode(), 0o644),
        material.write(directory / "common" / "authorized_keys", key, 0o644),
    ]
    for host in plan.hosts:
        # Only the bastion takes connections from anywhere; the rest is reached through it.
        users = "ops" if host.role == "bastion" else f"ops@{plan.bastion}"
        changed.append(
            material.write(directory / host.name / "sshd-users", f"AllowUsers {users}\n".encode(), 0o644)
        )
    return changed


def _resolver() -> str:
    for path in _RESOLVERS:
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if not line.startswith(("#", ";"))]
            if any(line.startswith("nameserver") and " 127." not in line for line in lines):
                return "".join(f"{line}\n" for line in lines if " 127." not in line)
    # Nothing usable from inside: the engine's own resolver stays in place.
    return ""


def _dump(document: dict[str, Any]) -> bytes:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{text}".encode()


def _routed() -> list[IPv4Network]:
    done = subprocess.run(["ip", "-json", "-4", "route"], check=False, capture_output=True, text=True)
    if done.returncode:
        raise DrcloudError(f"ip route: {done.stderr.strip()}")
    targets = [str(route["dst"]) for route in json.loads(done.stdout or "[]")]
    return [IPv4Network(target, strict=False) for target in targets if target[0].isdigit()]
