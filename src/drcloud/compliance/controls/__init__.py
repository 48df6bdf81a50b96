"""The controls: pure functions over evidence, in the order reports show them."""

from __future__ import annotations

from drcloud.compliance.controls import containers, daemon, files, remote_api
from drcloud.compliance.controls.base import Control, Severity, Status, Verdict

__all__ = ["ALL", "BY_SLUG", "Control", "Severity", "Status", "Verdict"]

ALL: tuple[Control, ...] = (
    remote_api.REMOTE_API_UNAUTHENTICATED,
    containers.CONTAINER_DOCKER_SOCKET,
    containers.CONTAINER_PRIVILEGED,
    containers.CONTAINER_HOST_NAMESPACES,
    files.DOCKER_SOCKET_PERMISSIONS,
    daemon.INSECURE_REGISTRIES,
    daemon.LIVE_RESTORE,
    files.DAEMON_CONFIG_PERMISSIONS,
    containers.CONTAINER_IMAGE_DIGEST,
    containers.CONTAINER_NO_NEW_PRIVILEGES,
)
BY_SLUG = {control.slug: control for control in ALL}
