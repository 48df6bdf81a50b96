"""How the engine is set up, judged by what it reports as effective."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from drcloud.compliance.controls.base import Control, Severity, Status, Verdict, decide
from drcloud.compliance.evidence import Evidence


def live_restore(evidence: Evidence) -> Iterator[Verdict]:
    """Judge whether containers outlive a restart of the daemon."""
    if not evidence.info:
        return
    if evidence.info.get("Swarm") == "active":
        yield Verdict("engine", Status.NOT_APPLICABLE, "live restore does not exist in swarm mode")
        return
    configured = evidence.settings.switch("live-restore")
    hint = ": it is configured, but the engine was not reloaded" if configured else ""
    effective = bool(evidence.info.get("LiveRestoreEnabled"))
    yield decide("engine", effective, "live restore is on", f"live restore is off{hint}")


def insecure_registries(evidence: Evidence) -> Iterator[Verdict]:
    """Judge registries that may be used without TLS or with any certificate; loopback is always one."""
    if not evidence.info:
        return
    networks = [text for text in evidence.info.get("InsecureRegistryCIDRs") or () if not _loopback(text)]
    for name in [*networks, *(evidence.info.get("InsecureIndexes") or ())]:
        yield Verdict(f"registry:{name}", Status.FAIL, f"registry {name} may be used without checked TLS")
    if not networks and not evidence.info.get("InsecureIndexes"):
        yield Verdict("engine", Status.PASS, "all registries are used with checked TLS")


def _loopback(text: str) -> bool:
    try:
        return ipaddress.ip_network(text, strict=False).is_loopback
    except ValueError:
        return False


LIVE_RESTORE = Control(
    slug="live-restore",
    title="Containers keep running while the engine restarts",
    severity=Severity.HIGH,
    parts=("info",),
    check=live_restore,
    cis={"1.6.0": ("2.15",), "1.8.0": ("2.16",)},
    rationale="Without live restore every upgrade or crash of the engine stops all containers of the host.",
    remediation='Set "live-restore": true in daemon.json and reload the engine; provision does both.',
)
INSECURE_REGISTRIES = Control(
    slug="insecure-registries",
    title="No registry is used without checked TLS",
    severity=Severity.HIGH,
    parts=("info",),
    check=insecure_registries,
    cis={"1.6.0": ("2.5",), "1.8.0": ("2.5",)},
    rationale="Whoever stands between host and registry can read the password and choose what runs.",
    remediation=(
        "Remove the registry from insecure-registries and put its CA under "
        "/etc/docker/certs.d/<registry>/ca.crt."
    ),
)
