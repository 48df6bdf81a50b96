"""Everything the role needs to know and find before it touches the engine."""

from __future__ import annotations

import hashlib
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
    disk: bool


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


def recipe(lab: Lab) -> tuple[str, bool]:
    """Write the files that go into the images; return a key over them: same key, same images."""
    content = {"sources.list": apt.sources(), "apt.conf": apt.settings()}
    for path in sorted(_CERTIFICATES.glob("**/*.crt")):
        content[f"ca/{path.name}"] = path.read_text(encoding="utf-8")
    directory = lab.state / "recipe"
    changed = [material.write(directory / name, text.encode(), 0o644) for name, text in content.items()]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    return key, any(changed)


def _plan(lab: Lab, document: dict[str, Any], subnet: IPv4Network, docker_host: str) -> Plan:
    hosts = tuple(
        Host(
            name=entry["name"],
            container=f"{lab.name}-{entry['name']}",
            address=entry["address"],
            role=entry["role"],
            disk=bool(entry.get("block_devices")),
        )
        for entry in document["hosts"]
    )
    by_name = {host.name: host for host in hosts}
    registry = document["registries"][0]
    return Plan(
        id=lab.id,
        name=lab.name,
        release=platform.freedesktop_os_release()["VERSION_CODENAME"],
        state=str(lab.state),
        cache=str(lab.cache),
        subnet=str(subnet),
        gateway=str(subnet[1]),
        bastion=next(host.address for host in hosts if host.role == "bastion"),
        docker_host=docker_host,
        own_engine=docker_host == f"unix://{lab.socket}",
        registry=f"{by_name[registry['host']].address}:{registry['port']}",
        hosts=hosts,
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
