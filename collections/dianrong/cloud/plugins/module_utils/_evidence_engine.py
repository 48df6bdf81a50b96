# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Engine API says of itself, read over its Unix socket with the standard library only.

The document keeps the fields that controls read. Values of environment variables, foreign labels and
other places where secrets live never leave the host.
"""

from __future__ import annotations

import http.client
import json

from ansible_collections.dianrong.cloud.plugins.module_utils._unix_http import UnixConnection

ANSWER_LIMIT = 16 * 1024 * 1024
LABEL_PREFIX = "com.dianrong.cloud."
INFO_FIELDS = (
    "CgroupDriver", "CgroupVersion", "Debug", "DefaultRuntime", "DockerRootDir", "Driver",
    "ExperimentalBuild", "KernelVersion", "LiveRestoreEnabled", "LoggingDriver", "Name",
    "OperatingSystem", "SecurityOptions", "ServerVersion",
)  # fmt: skip
HOST_CONFIG_FIELDS = (
    "CapAdd", "CapDrop", "CgroupParent", "CgroupnsMode", "CpuQuota", "CpuShares", "CpusetCpus",
    "DeviceCgroupRules", "Devices", "IpcMode", "Memory", "NanoCpus", "NetworkMode", "PidMode",
    "PidsLimit", "Privileged", "PublishAllPorts", "ReadonlyRootfs", "UTSMode", "Ulimits",
    "UsernsMode",
)  # fmt: skip
# Where Docker keeps a whole seccomp profile as text, only its beginning tells something.
OPTION_LIMIT = 120


class EngineError(Exception):
    """The engine did not give a usable answer."""


class Engine:
    """Read-only access to one engine; every method is one GET request on a kept connection."""

    def __init__(self, path, timeout=20):
        """Remember the socket; nothing is opened before the first request."""
        self.connection = UnixConnection(path, timeout)

    def get(self, path):
        """Return the parsed answer, or None where the object has just gone (404)."""
        try:
            self.connection.request("GET", path)
            response = self.connection.getresponse()
            body = response.read(ANSWER_LIMIT + 1)
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise EngineError(f"GET {path}: {error or type(error).__name__}") from error
        if len(body) > ANSWER_LIMIT:
            self.connection.close()
            raise EngineError(f"GET {path}: the answer is larger than {ANSWER_LIMIT} bytes")
        if response.status == 404:
            return None
        if response.status != 200:
            raise EngineError(f"GET {path}: HTTP status {response.status}")
        try:
            return json.loads(body.decode("utf-8"))
        except ValueError as error:
            raise EngineError(f"GET {path}: {error}") from error


def read_info(engine):
    """Return the part of C(/info) and C(/version) that controls read."""
    info, version = engine.get("/info") or {}, engine.get("/version") or {}
    document = {field: info.get(field) for field in INFO_FIELDS}
    registries = info.get("RegistryConfig") or {}
    document["Swarm"] = (info.get("Swarm") or {}).get("LocalNodeState") or "inactive"
    document["AuthorizationPlugins"] = (info.get("Plugins") or {}).get("Authorization") or []
    document["InsecureRegistryCIDRs"] = registries.get("InsecureRegistryCIDRs") or []
    document["InsecureIndexes"] = sorted(
        name
        for name, index in (registries.get("IndexConfigs") or {}).items()
        if not index.get("Secure", True)
    )
    document["ApiVersion"] = version.get("ApiVersion")
    document["GoVersion"] = version.get("GoVersion")
    return document


def read_containers(engine, limit):
    """Return (containers, reason): all containers, stopped ones too; the reason says what is missing."""
    listed = engine.get("/containers/json?all=1") or []
    containers, unread = [], []
    for entry in listed[:limit]:
        try:
            inspected = engine.get("/containers/{}/json".format(entry["Id"]))
        except EngineError as error:
            unread.append(str(error))
            continue
        if inspected is not None:
            containers.append(describe_container(inspected))
    if len(listed) > limit:
        unread.append(f"{len(listed)} containers, only the first {limit} were read")
    return sorted(containers, key=lambda container: container["name"]), "; ".join(unread[:5])


def describe_container(inspected):
    """Return what controls read of one inspected container."""
    config, host = inspected.get("Config") or {}, inspected.get("HostConfig") or {}
    state = inspected.get("State") or {}
    document = {field: host.get(field) for field in HOST_CONFIG_FIELDS}
    document.update(
        id=inspected.get("Id"),
        name=(inspected.get("Name") or "").lstrip("/"),
        image=config.get("Image"),
        image_id=inspected.get("Image"),
        user=config.get("User") or "",
        status=state.get("Status"),
        labels={k: v for k, v in (config.get("Labels") or {}).items() if k.startswith(LABEL_PREFIX)},
        env_names=sorted(entry.partition("=")[0] for entry in config.get("Env") or []),
        has_healthcheck=(config.get("Healthcheck") or {}).get("Test") not in (None, [], ["NONE"]),
        security_options=[option[:OPTION_LIMIT] for option in host.get("SecurityOpt") or []],
        apparmor_profile=inspected.get("AppArmorProfile") or "",
        process_label=inspected.get("ProcessLabel") or "",
        log_driver=(host.get("LogConfig") or {}).get("Type"),
        restart_policy=host.get("RestartPolicy") or {},
        mounts=[_mount(mount) for mount in inspected.get("Mounts") or []],
        ports=_ports(inspected),
    )
    return document


def _mount(mount):
    return {
        "type": mount.get("Type"),
        "source": mount.get("Source"),
        "destination": mount.get("Destination"),
        "rw": mount.get("RW"),
        "propagation": mount.get("Propagation"),
    }


def _ports(inspected):
    # A stopped container has no NetworkSettings.Ports, its wish stands in HostConfig.
    running = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    wanted = (inspected.get("HostConfig") or {}).get("PortBindings") or {}
    return [
        {
            "container": inner,
            "address": binding.get("HostIp") or "",
            "port": int(binding.get("HostPort") or 0),
        }
        for inner, bindings in sorted((running or wanted).items())
        for binding in bindings or []
    ]


def read_images(engine, limit):
    """Return (images, reason), named by tag and digest."""
    listed = engine.get("/images/json") or []
    images = [
        {
            "id": image.get("Id"),
            "tags": sorted(image.get("RepoTags") or []),
            "digests": sorted(image.get("RepoDigests") or []),
            "created": image.get("Created"),
        }
        for image in listed[:limit]
    ]
    reason = f"{len(listed)} images, only the first {limit} were read" if len(listed) > limit else ""
    return sorted(images, key=lambda image: image["id"] or ""), reason


def read_networks(engine, limit):
    """Return (networks, reason) with their driver and options."""
    listed = engine.get("/networks") or []
    networks = [
        {
            "name": network.get("Name"),
            "driver": network.get("Driver"),
            "internal": network.get("Internal"),
            "options": network.get("Options") or {},
        }
        for network in listed[:limit]
    ]
    reason = f"{len(listed)} networks, only the first {limit} were read" if len(listed) > limit else ""
    return sorted(networks, key=lambda network: network["name"] or ""), reason
