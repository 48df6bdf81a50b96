# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has that somebody else set up: networks, containers and disks, as plain data. Pure.

Values of variables, commands and labels are left out: whatever was passed to a container by hand may be a
secret.
"""

from __future__ import annotations

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance

# Networks that every engine has.
PREDEFINED = ("bridge", "host", "none")
BRIDGE = "com.docker.network.bridge.name"
MTU = "com.docker.network.driver.mtu"
# Where an operating system keeps itself: such a file system is no app's.
SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/home", "/opt", "/root", "/usr", "/var", "/var/log")
# Made of other devices, or of files.
DERIVED = ("dm-", "md", "ram", "zram", "nbd", "sr", "fd")


def network(found, users, members):
    """Return a network as the Engine API lists it.

    C(users) are the names of its containers; C(members) the interfaces of each Linux bridge, by its name.
    """
    options = found.get("Options") or {}
    # The engine names a bridge after the network's id where nobody gave it a name.
    bridge = options.get(BRIDGE) or "br-" + found["Id"][:12]
    subnets = (found.get("IPAM") or {}).get("Config") or []
    return {
        "name": found["Name"],
        "driver": found["Driver"],
        "bridge": bridge if found["Driver"] == "bridge" else None,
        "subnets": [one["Subnet"] for one in subnets if one.get("Subnet")],
        "mtu": int(options[MTU]) if str(options.get(MTU, "")).isdigit() else None,
        "internal": bool(found.get("Internal")),
        "ipv6": bool(found.get("EnableIPv6")),
        "containers": sorted(users),
        "nics": sorted(nic for nic in members.get(bridge, ()) if not nic.startswith("veth")),
    }


def users(containers):
    """Return the names of the containers of each network, stopped ones too, from inspected containers."""
    found = {}
    for one in containers:
        for name in (one.get("NetworkSettings") or {}).get("Networks") or {}:
            found.setdefault(name, []).append(one["Name"].lstrip("/"))
    return found


def container(inspected, image):
    """Return a container; C(image) is its image as inspected, or None where it is gone."""
    config, host = inspected["Config"], inspected["HostConfig"]
    return {
        "name": inspected["Name"].lstrip("/"),
        "id": inspected["Id"],
        "ours": _instance.describe(inspected) is not None,
        "image": config.get("Image") or "",
        "digests": sorted((image or {}).get("RepoDigests") or []),
        "status": inspected["State"].get("Status") or "unknown",
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "ports": ports(host.get("PortBindings") or {}),
        "mounts": [mount(one) for one in inspected.get("Mounts") or []],
        "devices": [one["PathOnHost"] for one in host.get("Devices") or []],
        "networks": sorted((inspected.get("NetworkSettings") or {}).get("Networks") or {}),
        "network_mode": host.get("NetworkMode") or "default",
        "user": config.get("User") or None,
        "own_command": image is not None and config.get("Cmd") != (image.get("Config") or {}).get("Cmd"),
        "own_entrypoint": image is not None
        and config.get("Entrypoint") != (image.get("Config") or {}).get("Entrypoint"),
        "privileged": bool(host.get("Privileged")),
        "read_only": bool(host.get("ReadonlyRootfs")),
        "cap_add": sorted(host.get("CapAdd") or []),
        "memory": host.get("Memory") or None,
        "cpus": host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None,
        "pids": host.get("PidsLimit") or None,
        "env": own_variables(config, image),
        "log_driver": (host.get("LogConfig") or {}).get("Type") or None,
    }


def own_variables(config, image):
    """Return the names of the variables that do not come from the image as they are."""
    known = set(((image or {}).get("Config") or {}).get("Env") or ())
    return sorted(pair.partition("=")[0] for pair in config.get("Env") or () if pair not in known)


def ports(bindings):
    """Return published ports, from the bindings of a container."""
    return [
        {
            "container": int(inner.partition("/")[0]),
            "protocol": inner.partition("/")[2] or "tcp",
            "address": one.get("HostIp") or "0.0.0.0",  # noqa: S104 - what the engine means by nothing
            "host": int(one["HostPort"]) if str(one.get("HostPort") or "").isdigit() else None,
        }
        for inner, bound in sorted(bindings.items())
        for one in bound or ()
    ]


def mount(found):
    """Return what is mounted into a container."""
    return {
        "type": found.get("Type") or "bind",
        "name": found.get("Name"),
        "source": found.get("Source") or "",
        "target": found.get("Destination") or "",
        "read_only": not found.get("RW", True),
    }


def is_disk(disk, paths):
    """Tell whether a block device is a disk of this host's own.

    A file that is used as a disk counts where somebody gave it a name other than C(loop).
    """
    if not paths or disk.name.startswith(DERIVED):
        return False
    return not disk.name.startswith("loop") or any(not path.startswith("/dev/loop") for path in paths)


def disk(disk, paths, file_system, mounts, uses):
    """Return a disk; C(mounts) are those of the whole host, C(uses) says who uses it or its partitions."""
    own = [one.point for one in mounts if one.numbers == disk.numbers and one.root == "/"]
    inner = [one.point for one in mounts if one.numbers in disk.all_numbers]
    return {
        "path": stable(paths),
        "serial": disk.serial,
        "wwn": disk.wwn,
        "size": disk.size,
        "filesystem": file_system.name if file_system else None,
        "uuid": file_system.uuid if file_system else None,
        "mounts": sorted(own),
        "system": any(point in SYSTEM for point in inner),
        "partitions": [part.name for part in disk.parts],
        "uses": list(uses),
    }


def stable(paths):
    """Return the path by which a disk is found again after a boot: what somebody named, else udev's."""
    named = [path for path in paths if path.startswith("/dev/disk/by-id/")]
    wwn = [path for path in named if "/wwn-" in path]
    plain = [path for path in paths if not path.startswith(("/dev/disk/", "/dev/loop"))]
    return (wwn or named or plain or list(paths))[0]
