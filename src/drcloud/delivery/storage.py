"""What an app wants of a host's disks, held against what the CMDB declares there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.snapshot import HostRow
from drcloud.errors import InvalidInputError


def require(spec: AppSpec, app: str, host: HostRow) -> None:
    """Raise ``InvalidInputError`` where a host does not have a disk that the app is to get."""
    for volume in spec.volumes:
        _require(host, app, "app-volume", "mount", volume.source)
    for device in spec.devices:
        _require(host, app, "raw", "path", device.source)


def _require(host: HostRow, app: str, purpose: str, field: str, wanted: str) -> None:
    words = f"an app-volume mounted at {wanted}" if purpose == "app-volume" else f"a raw disk {wanted}"
    found = [disk for disk in host.block_devices if _is(disk, purpose, field, wanted)]
    if not found:
        raise InvalidInputError(
            f"host {host.name} has no {words.partition(' ')[2]}, which {app} needs: declare it in the CMDB "
            "and provision the host"
        )
    owner = found[0]["app"]
    if owner not in (None, app):
        raise InvalidInputError(f"host {host.name} has {words} for {owner}, not for {app}")


def _is(disk: Mapping[str, Any], purpose: str, field: str, wanted: str) -> bool:
    return bool(disk["purpose"] == purpose and disk[field] == wanted)
