# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handshakes with the Remote API of a host, made from the controller: another machine than the host."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_daemon import REMOTE_API_PORTS
from ansible_collections.dianrong.cloud.plugins.module_utils._remote_api import handshake

SOURCE = "the controller"
LIMIT = 32
WORKERS = 8
# Directories that hold the engine's socket; a container that sees one can be a door to it.
SOCKET_DIRECTORIES = ("/", "/run", "/run/docker.sock", "/var", "/var/run", "/var/run/docker.sock")
LISTEN = re.compile(r"^(?P<address>.*):(?P<port>\d+) \(Stream\)$")


class Target(t.NamedTuple):
    """Where to knock; container names the one whose published port it is."""

    address: str
    port: int
    container: str | None = None


def targets(evidence: dict[str, t.Any] | None, address: str) -> list[Target]:
    """Return where the Engine API of a host could answer; without evidence, its usual ports."""
    known = evidence or {}
    asleep = unit_ports(known) if known.get("engine") == "stopped" else set()
    found = [Target(address, port) for port in REMOTE_API_PORTS]
    found += [
        Target(outside(listener["address"], address), listener["port"])
        for listener in known.get("listeners") or ()
        if not loopback(listener["address"])
    ]
    found += published(known, address)
    # A connection to a port that systemd holds for a stopped engine would start it.
    unique = {
        (target.address, target.port): target for target in reversed(found) if target.port not in asleep
    }
    return sorted(unique.values(), key=lambda target: (target.port, target.address))[:LIMIT]


def published(evidence: dict[str, t.Any], address: str) -> list[Target]:
    """Return the published ports of running containers that see the engine's socket."""
    return [
        Target(outside(port["address"], address), port["port"], container["name"])
        for container in evidence.get("containers") or ()
        if container.get("status") == "running" and sees_socket(container)
        for port in container.get("ports") or ()
        if port["port"] and port["container"].endswith("/tcp") and not loopback(port["address"])
    ]


def sees_socket(container: dict[str, t.Any]) -> bool:
    """Tell whether a socket of the engine is mounted into a container."""
    sources = [(mount.get("source") or "").rstrip("/") or "/" for mount in container.get("mounts") or ()]
    return any(source in SOCKET_DIRECTORIES for source in sources)


def unit_ports(evidence: dict[str, t.Any]) -> set[int]:
    """Return the TCP ports that systemd holds for the engine."""
    lines = [line for unit in evidence.get("socket_units") or () for line in unit.get("listen") or ()]
    return {int(match["port"]) for match in map(LISTEN.match, lines) if match}


def outside(listening: str, address: str) -> str:
    """Return the address to knock at for a listener: its own, or the host's where it listens on all."""
    try:
        return address if not listening or ipaddress.ip_address(listening).is_unspecified else listening
    except ValueError:
        return address


def loopback(listening: str) -> bool:
    """Tell whether a listener can be reached from its own host only."""
    try:
        return ipaddress.ip_address(listening).is_loopback
    except ValueError:
        return False


def knock(wanted: list[Target], timeout: float) -> list[dict[str, t.Any]]:
    """Shake hands with all targets at once; the results are in the order of the targets."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        answers = list(pool.map(lambda target: handshake(target.address, target.port, timeout), wanted))
    return [
        {**answer, "source": SOURCE, "container": target.container}
        for target, answer in zip(wanted, answers, strict=True)
    ]
