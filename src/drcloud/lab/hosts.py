"""The hosts themselves: containers that run systemd, made once and started again after a stop."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.types import EndpointConfig, HostConfig

LABEL = "com.dianrong.cloud.lab"
_SPEC = f"{LABEL}.spec"
# A start waits for the engine, which waits for the disk: more threads than this gain nothing.
_AT_ONCE = 4


def specification(plan: dict[str, Any], host: dict[str, Any]) -> dict[str, Any]:
    """Return what a host's container is made from, as plain data (names of the Engine API).

    All capabilities but SYS_RESOURCE, which restricted build machines lack; ``--privileged`` fails there.
    """
    seed = f"{plan['state']}/hosts"
    return {
        "image": f"drcloud/lab-host:{host['release']}",
        "hostname": host["name"],
        "address": host["address"],
        "network": plan["name"],
        "entrypoint": ["/lab/common/entry"],
        "environment": {"container": "docker"},
        "stop_signal": "SIGRTMIN+3",
        "volumes": list(host["volumes"]),
        "host": {
            "Binds": [f"{seed}/common:/lab/common:ro", f"{seed}/{host['name']}:/lab/host:ro"],
            "CapAdd": ["ALL"],
            "CapDrop": ["SYS_RESOURCE"],
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
            "DeviceCgroupRules": ["a *:* rwm"],
            "CgroupnsMode": "private",
            "Tmpfs": {"/run": "exec,mode=755", "/run/lock": "mode=1777"},
            # Neither /proc/sys read-only nor parts of /proc hidden: the host runs an engine of its own.
            "MaskedPaths": [],
            "ReadonlyPaths": [],
        },
    }


def ensure(plan: dict[str, Any]) -> list[str]:
    """Make and start all hosts of the plan; return the names of those that were not running as wanted."""
    client = docker.APIClient(base_url=plan["docker_host"], version="auto", timeout=120)
    try:
        with concurrent.futures.ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            started = pool.map(lambda host: _ensure(client, plan, host), plan["hosts"])
            return [host["name"] for host, new in zip(plan["hosts"], started, strict=True) if new]
    finally:
        client.close()


def states(plan: dict[str, Any]) -> dict[str, str]:
    """Return host name -> state of its container as the engine tells it (``running``, ``exited`` …)."""
    client = docker.APIClient(base_url=plan["docker_host"], version="auto", timeout=30)
    try:
        listing = client.containers(all=True, filters={"label": f"{LABEL}={plan['id']}"})
    finally:
        client.close()
    by_container = {name.lstrip("/"): str(entry["State"]) for entry in listing for name in entry["Names"]}
    return {host["name"]: by_container.get(host["container"], "missing") for host in plan["hosts"]}


def _ensure(client: docker.APIClient, plan: dict[str, Any], host: dict[str, Any]) -> bool:
    wanted = specification(plan, host)
    mark = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    try:
        existing = client.inspect_container(host["container"])
    except NotFound:
        existing = None
    if existing is not None and (
        existing["Config"]["Labels"].get(_SPEC) != mark or existing["State"]["Status"] in ("dead", "removing")
    ):
        client.remove_container(existing["Id"], force=True, v=True)
        existing = None
    if existing is not None and existing["State"]["Status"] == "running":
        return False
    if existing is not None and existing["State"]["Status"] == "paused":
        client.unpause(existing["Id"])
        return True
    if existing is None:
        _create(client, plan, host, wanted, mark)
    try:
        client.start(host["container"])
    except APIError:
        # What a killed engine left half done cannot be started: such a host is installed anew.
        client.remove_container(host["container"], force=True, v=True)
        _create(client, plan, host, wanted, mark)
        client.start(host["container"])
    return True


def _create(
    client: docker.APIClient, plan: dict[str, Any], host: dict[str, Any], wanted: dict[str, Any], mark: str
) -> None:
    endpoint = EndpointConfig(client.api_version, ipv4_address=wanted["address"])
    host_config = HostConfig(client.api_version)
    host_config.update({**wanted["host"], "NetworkMode": wanted["network"]})
    client.create_container(
        wanted["image"],
        name=host["container"],
        hostname=wanted["hostname"],
        entrypoint=wanted["entrypoint"],
        environment=wanted["environment"],
        stop_signal=wanted["stop_signal"],
        volumes=wanted["volumes"],
        labels={LABEL: plan["id"], _SPEC: mark},
        host_config=host_config,
        networking_config={"EndpointsConfig": {wanted["network"]: endpoint}},
    )
