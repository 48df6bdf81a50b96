"""Who may write what decides over the engine: modes are compared bit by bit."""

from __future__ import annotations

from collections.abc import Iterator

from drcloud.compliance.controls.base import Control, Severity, Status, Verdict
from drcloud.compliance.evidence import Evidence, File

SOCKET_BITS = 0o660
FILE_BITS = 0o644
DIRECTORY_BITS = 0o755


def socket_permissions(evidence: Evidence) -> Iterator[Verdict]:
    """Judge every Unix socket of the daemon."""
    hosts = evidence.settings.values("host")
    sockets = [host.removeprefix("unix://") for host in hosts if host.startswith("unix://")]
    for path in sorted({evidence.socket, *sockets}):
        yield from judge(evidence.file(path), SOCKET_BITS, ("root", "docker"))


def config_permissions(evidence: Evidence) -> Iterator[Verdict]:
    """Judge the daemon's configuration file, its directory and its units."""
    yield from judge(evidence.file("/etc/docker"), DIRECTORY_BITS)
    yield from judge(evidence.file(evidence.config_file), FILE_BITS)
    for unit in evidence.socket_units:
        for path in (unit.get("path"), *(unit.get("drop_ins") or ())):
            # A masked unit points there, and everybody may write to it.
            if path and path != "/dev/null":
                yield from judge(evidence.file(path), FILE_BITS)


def judge(file: File, allowed: int, groups: tuple[str, ...] = ("root",)) -> Iterator[Verdict]:
    """Judge owner, group and mode of one path; an absent one is nobody's fault."""
    name = f"file:{file.path}"
    if file.unread is not None:
        yield Verdict(name, Status.UNKNOWN, f"{file.path} could not be looked at: {file.unread}")
        return
    if not file.present:
        yield Verdict(name, Status.NOT_APPLICABLE, f"{file.path} does not exist")
        return
    wrong = []
    if file.owner != "root" or file.group not in groups:
        wrong.append(f"belongs to {file.owner}:{file.group} instead of root:{groups[-1]}")
    if file.mode & ~allowed:
        wrong.append(f"has mode {file.mode:04o}, at most {allowed:04o} is allowed")
    if wrong:
        yield Verdict(name, Status.FAIL, f"{file.path} {' and '.join(wrong)}")
    else:
        yield Verdict(name, Status.PASS, f"{file.path} is {file.owner}:{file.group} {file.mode:04o}")


DOCKER_SOCKET_PERMISSIONS = Control(
    slug="docker-socket-permissions",
    title="Only root and the group docker may use the engine's socket",
    severity=Severity.HIGH,
    parts=("files", "daemon"),
    check=socket_permissions,
    also_when=("stopped", "silent"),
    cis={"1.6.0": ("3.15", "3.16")},
    rationale="Write access to the socket is root access to the host.",
    remediation="chown root:docker and chmod 0660 the socket; check SocketMode= of docker.socket.",
)
DAEMON_CONFIG_PERMISSIONS = Control(
    slug="daemon-config-permissions",
    title="Only root may change how the engine starts",
    severity=Severity.MEDIUM,
    parts=("files", "socket_units"),
    check=config_permissions,
    also_when=("stopped", "silent"),
    cis={"1.6.0": ("3.3", "3.4", "3.5", "3.6", "3.17", "3.18")},
    rationale="Whoever writes daemon.json or a unit of the engine can open the Remote API or replace runc.",
    remediation="chown root:root; chmod 0755 /etc/docker and 0644 the files in it and the units.",
)
