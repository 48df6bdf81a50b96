"""What containers may do to their host; stopped containers count, for a start brings them back."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from drcloud.compliance.controls.base import Control, Severity, Status, Verdict, decide
from drcloud.compliance.evidence import Container, Evidence

NAMESPACES = (
    ("NetworkMode", "network"),
    ("PidMode", "process"),
    ("IpcMode", "IPC"),
    ("UTSMode", "UTS"),
    ("UsernsMode", "user"),
)
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_DIGEST = re.compile(r"@(?P<digest>sha256:[0-9a-f]{64})$")


def each(judge: Callable[[Evidence, Container], Verdict]) -> Callable[[Evidence], Iterator[Verdict]]:
    """Make a check of all containers from one of a single container."""

    def check(evidence: Evidence) -> Iterator[Verdict]:
        for container in evidence.containers:
            yield judge(evidence, container)

    return check


def privileged(evidence: Evidence, container: Container) -> Verdict:
    """Judge whether the container was started with all rights."""
    good = container.setting("Privileged") is False
    return decide(container.object, good, f"{container} is not privileged", f"{container} is privileged")


def docker_socket(evidence: Evidence, container: Container) -> Verdict:
    """Judge whether a socket of the engine, or a directory above one, is mounted."""
    for source in container.bind_sources:
        path = real(source)
        for socket in sockets(evidence):
            if socket == path or socket.startswith(path.rstrip("/") + "/"):
                return Verdict(
                    container.object, Status.FAIL, f"{container} mounts {source}, which gives it {socket}"
                )
    return Verdict(container.object, Status.PASS, f"{container} does not see the engine's sockets")


def sockets(evidence: Evidence) -> tuple[str, ...]:
    """Return the sockets that give power over all containers of the host."""
    hosts = [
        host.removeprefix("unix://")
        for host in evidence.settings.values("host")
        if host.startswith("unix://")
    ]
    return tuple(
        sorted({real(path) for path in (evidence.socket, "/run/docker.sock", CONTAINERD_SOCKET, *hosts)})
    )


def real(path: str) -> str:
    """Return a path with Debian's link from /var/run to /run followed."""
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path == "/var/run" or path.startswith("/var/run/") else path


def host_namespaces(evidence: Evidence, container: Container) -> Verdict:
    """Judge whether the container shares namespaces with the host."""
    shared = [name for field, name in NAMESPACES if container.setting(field) == "host"]
    return decide(
        container.object,
        not shared,
        f"{container} has namespaces of its own",
        f"{container} shares the host's {', '.join(shared)} namespace{'s' if len(shared) > 1 else ''}",
    )


def no_new_privileges(evidence: Evidence, container: Container) -> Verdict:
    """Judge whether a setuid program can raise privileges; a container's own option beats the daemon's."""
    for option in container.security_options:
        name, _, value = option.replace("=", ":", 1).partition(":")
        if name == "no-new-privileges":
            good = value.lower() in ("", "true", "1")
            return decide(
                container.object,
                good,
                f"{container} cannot gain privileges",
                f"{container} switches no-new-privileges off",
            )
    default = evidence.settings.switch("no-new-privileges") is True
    return decide(
        container.object,
        default,
        f"{container} cannot gain privileges, by the daemon's default",
        f"{container} can gain privileges: neither it nor the daemon sets no-new-privileges",
    )


def image_digest(evidence: Evidence, container: Container) -> Verdict:
    """Judge whether it is certain what the container runs."""
    name = container.object
    match = _DIGEST.search(container.image)
    if match is None:
        whose = "" if container.managed else ", and it is not managed by drCloud"
        return Verdict(name, Status.FAIL, f"{container} runs {container.image or '?'}, not a digest{whose}")
    labelled = container.labels.get("digest", match["digest"])
    return decide(
        name,
        labelled == match["digest"],
        f"{container} runs {match['digest'][:19]}",
        f"{container} runs {match['digest'][:19]} but is labelled {labelled[:19]}",
    )


CONTAINER_PRIVILEGED = Control(
    slug="container-privileged",
    title="No container is privileged",
    severity=Severity.CRITICAL,
    parts=("containers",),
    check=each(privileged),
    cis={"1.6.0": ("5.5",)},
    rationale="A privileged container has all capabilities and all devices: it is root on the host.",
    remediation="Start it without --privileged, with the single capability or device it needs.",
)
CONTAINER_DOCKER_SOCKET = Control(
    slug="container-docker-socket",
    title="No container sees the engine's socket",
    severity=Severity.CRITICAL,
    parts=("containers", "daemon"),
    check=each(docker_socket),
    cis={"1.6.0": ("5.32",)},
    rationale="Whoever speaks to the engine can start a privileged container; a read-only mount is no help.",
    remediation="Remove the mount of the socket or of the directory above it.",
)
CONTAINER_HOST_NAMESPACES = Control(
    slug="container-host-namespaces",
    title="No container shares a namespace with its host",
    severity=Severity.HIGH,
    parts=("containers",),
    check=each(host_namespaces),
    cis={"1.6.0": ("5.10", "5.16", "5.17", "5.21", "5.31")},
    rationale="Sharing lets a container see or disturb the host's processes, sockets, memory or users.",
    remediation="Start it without --network/--pid/--ipc/--uts/--userns host.",
)
CONTAINER_NO_NEW_PRIVILEGES = Control(
    slug="container-no-new-privileges",
    title="Containers cannot gain privileges",
    severity=Severity.MEDIUM,
    parts=("containers", "daemon", "config"),
    check=each(no_new_privileges),
    cis={"1.6.0": ("2.14", "5.26"), "1.8.0": ("2.15",)},
    rationale="A setuid program in an image turns a hole in an app into root in its container.",
    remediation='Set "no-new-privileges": true in daemon.json, or the security option on the container.',
)
CONTAINER_IMAGE_DIGEST = Control(
    slug="container-image-digest",
    title="Containers run digests, not tags",
    severity=Severity.MEDIUM,
    parts=("containers",),
    check=each(image_digest),
    rationale="A tag moves: only a digest says what runs, and only a known container says who put it there.",
    remediation="Deploy it with `drcloud deploy`, or start it as repository@sha256:….",
)
