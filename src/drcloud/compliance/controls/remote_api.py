"""Who may speak to the engine over the network, proved by handshakes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drcloud.compliance.controls.base import Control, Severity, Status, Verdict
from drcloud.compliance.evidence import Document, Evidence

EXPOSED = ("open", "open-tls")
GUARDED = ("certificate-required", "denied")
_LISTEN = re.compile(r"^(?P<address>.*):(?P<port>\d+) \(Stream\)$")


def unauthenticated(evidence: Evidence) -> Iterator[Verdict]:
    """Judge each port that speaks, or could speak, the Engine API."""
    ports = {int(probe["port"]) for probe in evidence.probes}
    ports |= {int(listener["port"]) for listener in evidence.listeners} | set(unit_ports(evidence))
    for port in sorted(ports):
        status, message = _port(evidence, port)
        yield Verdict(f"tcp:{port}", status, message)
    if not evidence.probes:
        yield Verdict("probe", Status.UNKNOWN, "no handshake was tried from another machine")


def unit_ports(evidence: Evidence) -> dict[int, str]:
    """Return the TCP ports that systemd opens for the engine, and which unit does."""
    found = {}
    for unit in evidence.socket_units:
        for listen in unit.get("listen") or ():
            match = _LISTEN.match(listen)
            if match and unit.get("active") == "active":
                found[int(match["port"])] = str(unit["unit"])
    return found


def _port(evidence: Evidence, port: int) -> tuple[Status, str]:
    probes = [probe for probe in evidence.probes if int(probe["port"]) == port]
    for probe in probes:
        if probe["state"] in EXPOSED:
            return Status.FAIL, _proved(probe)
    listeners = [listener for listener in evidence.listeners if int(listener["port"]) == port]
    for listener in listeners:
        if (listener.get("handshake") or {}).get("state") in EXPOSED:
            return Status.FAIL, _proved_locally(listener, probes)
    states = {probe["state"] for probe in probes}
    states |= {(listener.get("handshake") or {}).get("state", "untried") for listener in listeners}
    unit = unit_ports(evidence).get(port)
    if listeners or unit:
        woken = unit is not None and evidence.engine == "stopped"
        return _listening(port, states, unit or str(listeners[0]["owner"]), woken)
    return _silent(evidence, port, states)


def _proved(probe: Document) -> str:
    tls = " behind TLS that asks for no client certificate" if probe["state"] == "open-tls" else ""
    engine = f" (Engine {probe['engine']}, API {probe.get('api')})" if probe.get("engine") else ""
    by = f", published by container {probe['container']}" if probe.get("container") else ""
    where = f"tcp://{probe['address']}:{probe['port']}{tls}{engine}{by}"
    source = probe.get("source", "another machine")
    return (
        f"the Docker Remote API answers anybody at {where}: handshake without credentials made from {source}"
    )


def _proved_locally(listener: Document, probes: list[Document]) -> str:
    outside = "; ".join(f"from {probe.get('source')}: {probe['state']}" for probe in probes)
    return (
        f"the Docker Remote API answers anybody at tcp://{listener['address']}:{listener['port']}: "
        f"handshake without credentials made on the host itself" + (f" ({outside})" if outside else "")
    )


def _listening(port: int, states: set[str], owner: str, woken: bool) -> tuple[Status, str]:
    if states & set(GUARDED):
        return Status.PASS, f"{owner} listens on tcp {port} and turns away clients without a certificate"
    if states - {"closed", "unreachable"} == {"not-docker"}:
        return Status.PASS, f"{owner} listens on tcp {port} and does not speak the Engine API"
    if woken:
        return Status.UNKNOWN, f"{owner} opens tcp {port} for a stopped engine: who may use it was not tried"
    return Status.UNKNOWN, f"{owner} listens on tcp {port}, but a handshake did not tell who may use it"


def _silent(evidence: Evidence, port: int, states: set[str]) -> tuple[Status, str]:
    if states <= {"closed"}:
        return Status.PASS, f"nothing listens on tcp {port}: the connection was refused"
    if states <= {"closed", "not-docker"}:
        return Status.PASS, f"what answers on tcp {port} does not speak the Engine API"
    if states & set(GUARDED):
        return Status.PASS, f"tcp {port} turns away clients without credentials"
    if evidence.unread("listeners") is None and states == {"unreachable"}:
        return Status.PASS, f"nothing listens on tcp {port} of the host; from outside there was no answer"
    return (
        Status.UNKNOWN,
        f"tcp {port}: the handshake did not tell who may use it ({', '.join(sorted(states))})",
    )


REMOTE_API_UNAUTHENTICATED = Control(
    slug="remote-api-unauthenticated",
    title="The Docker Remote API does not answer strangers",
    severity=Severity.CRITICAL,
    parts=("listeners", "socket_units"),
    check=unauthenticated,
    also_when=("absent", "stopped", "silent", "unknown"),
    cis={"1.6.0": ("2.7",), "1.8.0": ("2.8",)},
    rationale=(
        "Whoever can speak to the Engine API is root on the host: one request starts a privileged container. "
        "An open port 2375 is found and used within hours. Configuration can mislead (another dockerd, a "
        "systemd socket, a proxy container), so the handshake decides."
    ),
    remediation=(
        "Remove tcp:// from `hosts` in daemon.json, from dockerd's arguments and from socket units; drCloud "
        "needs only the Unix socket over SSH. Where TCP must stay, set tlsverify with an own CA."
    ),
)
