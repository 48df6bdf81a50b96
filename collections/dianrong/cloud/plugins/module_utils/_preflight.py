# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must have free before an instance of an app starts on it. The checks change nothing."""

from __future__ import annotations

import errno
import os
import socket
import stat

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance, _listeners
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EVERYWHERE

ANY = (EVERYWHERE, "::", "")
# A layer is on the disk twice while it is unpacked: as it was sent, and as files, so many times larger or so.
UNPACKED = 3
MIB = 1024**2
# The engine itself, or its proxy, listens at the ports of containers.
ENGINE = ("dockerd", "docker-proxy")


class RefusedError(Exception):
    """What is missing, in one sentence."""


def memory(limit):
    """Refuse where the new instance could not have what it may use while the old one still runs."""
    available = _instance.available_memory()
    if limit and available is not None and available < _instance.size(limit):
        raise RefusedError(
            f"a new instance may use {limit} of memory next to the old one, "
            f"and {available // MIB} MiB are available"
        )


def room(engine, layers):
    """Refuse where the layers that are not here yet would not fit on the engine's disk; return their bytes.

    C(layers) maps the digest of each layer's content to the bytes that are sent. None where it has none.
    """
    here = engine.layers() if layers else set()
    sent = sum(int(size) for layer, size in layers.items() if layer not in here)
    if not sent:
        return sent if layers else None
    root = engine.info()["DockerRootDir"]
    disk = os.statvfs(root)
    free, needed = disk.f_bavail * disk.f_frsize, sent * (1 + UNPACKED)
    if free < needed:
        raise RefusedError(
            f"{root} has {free // MIB} MiB free, and the image needs about {needed // MIB + 1} MiB for "
            f"{sent // MIB + 1} MiB of layers: remove what nobody needs there "
            "(`drcloud run dianrong.cloud.prune`)"
        )
    return sent


def disks(spec):
    """Refuse a volume that is not mounted, which would fill the root disk, and a device that is none."""
    for volume in spec["volumes"]:
        if not os.path.ismount(volume["source"]):
            raise RefusedError("{} is not mounted: provision this host".format(volume["source"]))
    for device in spec["devices"]:
        try:
            mode = os.stat(device["source"]).st_mode
        except OSError as error:
            raise RefusedError("device {}: {}".format(device["source"], error.strerror)) from error
        if not stat.S_ISBLK(mode):
            raise RefusedError("{} is no block device".format(device["source"]))


def port(engine, address, number):
    """Refuse a port that somebody else has."""
    for name, taken, theirs in engine.published():
        if theirs == number and (taken == address or taken in ANY):
            raise RefusedError(f"port {number} of {address} is taken by the container {name}")
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, int(number)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise RefusedError(_held(address, number)) from error
            raise RefusedError(f"cannot use port {number} of {address}: {error.strerror}") from error


def _held(address, number):
    """Say who has a port that no container publishes.

    An engine that was killed while it started a container may keep that one's port when it is back, until it
    is started once more (https://github.com/moby/libnetwork/issues/1790, seen with 20.10.24).
    """
    name, pid = _listeners.holder(number) or ("another program", None)
    if name in ENGINE:
        return (
            f"port {number} of {address} is held by the engine for no container, as after it was killed "
            "while it started one: restart it (`systemctl restart docker`; with live-restore its containers "
            "run on)"
        )
    return f"port {number} of {address} is taken by {name}" + (f" (pid {pid})" if pid else "")
