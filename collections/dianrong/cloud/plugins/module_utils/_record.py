# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an instance was when a roll made it, kept on its host, to tell what somebody changed by hand.

A label says what its writer likes; a record is written by a roll only. It holds a keyed hash of each kind of
setting, with a key of its own: whoever has the record and not the engine's socket learns no value of it, and
nothing but the names of kinds ever leaves the host.
"""

from __future__ import annotations

import calendar
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import time

DIRECTORY = "/var/lib/drcloud/instances"
# Written with the first record: what is older was made before there were any.
SINCE = ".since"
# In the place of a kind: nobody recorded how the instance was made, so no roll made it.
NO_RECORD = "record"
# What the Engine API (1.41) tells of a container, by kind. Left out is what engines fill in by themselves and
# differently from version to version, and the image, which is compared by its digest.
KINDS = {
    "command": (("Config", "Entrypoint"), ("Config", "Cmd"), ("Config", "WorkingDir")),
    "env": (("Config", "Env"),),
    "labels": (("Config", "Labels"),),
    "user": (("Config", "User"), ("HostConfig", "GroupAdd")),
    "stop": (("Config", "StopSignal"), ("Config", "StopTimeout")),
    "mounts": (
        ("HostConfig", "Binds"),
        ("HostConfig", "Mounts"),
        ("HostConfig", "Tmpfs"),
        ("HostConfig", "VolumesFrom"),
        ("Config", "Volumes"),
    ),
    "devices": (
        ("HostConfig", "Devices"),
        ("HostConfig", "DeviceRequests"),
        ("HostConfig", "DeviceCgroupRules"),
    ),
    "limits": (
        ("HostConfig", "Memory"),
        ("HostConfig", "MemoryReservation"),
        ("HostConfig", "MemorySwap"),
        ("HostConfig", "NanoCpus"),
        ("HostConfig", "CpuShares"),
        ("HostConfig", "CpuPeriod"),
        ("HostConfig", "CpuQuota"),
        ("HostConfig", "CpusetCpus"),
        ("HostConfig", "PidsLimit"),
        ("HostConfig", "Ulimits"),
    ),
    "rights": (
        ("HostConfig", "Privileged"),
        ("HostConfig", "CapAdd"),
        ("HostConfig", "CapDrop"),
        ("HostConfig", "SecurityOpt"),
        ("HostConfig", "PidMode"),
        ("HostConfig", "IpcMode"),
        ("HostConfig", "UTSMode"),
        ("HostConfig", "UsernsMode"),
    ),
    "read_only": (("HostConfig", "ReadonlyRootfs"),),
    "network": (
        ("HostConfig", "NetworkMode"),
        ("HostConfig", "PortBindings"),
        ("HostConfig", "PublishAllPorts"),
        ("HostConfig", "Dns"),
        ("HostConfig", "ExtraHosts"),
        ("HostConfig", "Links"),
    ),
    "restart": (("HostConfig", "RestartPolicy"),),
    "log": (("HostConfig", "LogConfig"),),
}
# The one kind whose parts mean something by their order.
ORDERED = "command"
# Engines before 26 say the first for the second, and newer ones rewrite it when they are restarted.
NETWORKS = {"default": "bridge"}


def settings(container):
    """Return what an inspected container really is, as a text for each kind. Pure.

    What is not set, and what is set to nothing, is the same.
    """
    return {
        kind: json.dumps([_plain(_value(container, path), kind != ORDERED) for path in paths], sort_keys=True)
        for kind, paths in KINDS.items()
    }


def fingerprints(container, key):
    """Return the keyed hash of each kind of setting, hexadecimal. Pure."""
    return {
        kind: hmac.new(key, text.encode("utf-8"), hashlib.sha256).hexdigest()
        for kind, text in settings(container).items()
    }


def compare(container, record, since):
    """Return the kinds in which a container is not what was recorded, sorted. Pure.

    Without a record it is C(record), unless the container is older than C(since), the time of the first one
    (seconds), or there never was any: nobody can tell then.
    """
    if record is None:
        known = since is not None and _created(container) >= since
        return [NO_RECORD] if known else []
    found = fingerprints(container, bytes.fromhex(record["key"]))
    # A kind that a later version adds was not recorded.
    return sorted(kind for kind, mark in record["kinds"].items() if found.get(kind, mark) != mark)


def differing(container, root=DIRECTORY):
    """Return in what an inspected instance differs from what a roll made; nothing where it cannot be told."""
    try:
        return compare(container, read(_name(container), root), _since(root))
    except PermissionError:
        return []


def write(container, root=DIRECTORY):
    """Record an instance that was just created, completely or not at all."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    os.chmod(root, 0o700)
    if _since(root) is None:
        _write_file(os.path.join(root, SINCE), f"{_created(container)}\n")
    key = secrets.token_bytes(32)
    record = {"key": key.hex(), "kinds": fingerprints(container, key)}
    _write_file(os.path.join(root, _name(container)), json.dumps(record, sort_keys=True))


def read(name, root=DIRECTORY):
    """Return the record of an instance, or None where there is none that can be read as one."""
    text = _read_file(os.path.join(root, name))
    try:
        record = json.loads(text or "null")
        bytes.fromhex(record["key"])
        return record if isinstance(record["kinds"], dict) else None
    except (KeyError, TypeError, ValueError):
        return None


def remove(name, root=DIRECTORY):
    """Remove the record of an instance; none is as good."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(root, name))


def _name(container):
    return container["Name"].lstrip("/")


def _created(container):
    """Return when a container was created, in whole seconds; the engine says it in UTC (RFC 3339)."""
    try:
        return calendar.timegm(time.strptime(container["Created"][:19], "%Y-%m-%dT%H:%M:%S"))
    except (KeyError, ValueError):
        return 0


def _since(root):
    """Return when the first record was written here, or None where none was."""
    text = (_read_file(os.path.join(root, SINCE)) or "").strip()
    return int(text) if text.isdigit() else None


def _read_file(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write_file(path, text):
    fresh = f"{path}.new"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _value(container, path):
    section, name = path
    value = (container.get(section) or {}).get(name) or None
    return NETWORKS.get(value, value) if name == "NetworkMode" else value


def _plain(value, unordered):
    """Return a value without what newer engines add as nothing, and lists sorted if C(unordered)."""
    if isinstance(value, dict):
        parts = {name: _plain(part, unordered) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in (None, False, 0)}
    if isinstance(value, list):
        parts = [_plain(part, unordered) for part in value]
        return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True)) if unordered else parts
    return value
