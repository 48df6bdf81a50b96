# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instance: what a container of ours is called, how it is made, and what it says of itself. Pure."""

from __future__ import annotations

# The states in which a container holds its port, or will again by itself (Engine API 1.41).
LIVE = ("running", "restarting", "paused")
LABEL = "com.dianrong.cloud."
MARK = LABEL + "cmdb"
KNOWN = ("app", "env", "tag", "digest", "revision", "deployment", "slot")
# What the log driver keeps of the labels with each line; the central log files by it.
LOGGED = ("app", "env", "slot", "tag", "revision")
SUFFIXES = {"k": 1024, "m": 1024**2, "g": 1024**3}
SCRATCH = "rw,nosuid,nodev,noexec,size=64m"
SHORT = 8


def container_name(app, env, slot, revision):
    """Return the name of a container."""
    return f"{app}_{env}_{slot}_{revision[:SHORT]}"


def labels(cmdb, **values):
    """Return the labels that make a container ours."""
    ours = {LABEL + name: values[name] for name in KNOWN}
    ours[MARK] = cmdb
    return ours


def describe(container):
    """Return what the CMDB keeps of an inspected container that is ours, or None if it is not."""
    found = (container.get("Config") or {}).get("Labels") or {}
    if any(LABEL + name not in found for name in KNOWN):
        return None
    state = container["State"]
    document = {name: found[LABEL + name] for name in KNOWN}
    document.update(
        cmdb=found.get(MARK, ""),
        name=container["Name"].lstrip("/"),
        id=container["Id"],
        status=state.get("Status") or "unknown",
        health="unknown" if state.get("Running") else "stopped",
        created=container.get("Created") or "",
        restarts=container.get("RestartCount") or 0,
        started_at=state.get("StartedAt") or "",
    )
    return document


def payload(image, spec, marks, publish, host):
    """Return what the Engine API wants for a new container (POST /containers/create, API 1.41)."""
    inner = "{}/tcp".format(spec["port"])
    return {
        "Image": image,
        "Env": environment(spec, marks, host),
        "Labels": marks,
        "User": spec.get("user") or "",
        "ExposedPorts": {inner: {}},
        "StopSignal": spec["stop_signal"],
        "StopTimeout": int(spec["stop_grace"]),
        "HostConfig": host_config(
            spec, {inner: [{"HostIp": publish["address"], "HostPort": str(publish["port"])}]}
        ),
    }


def environment(spec, marks, host):
    """Return the variables of the app, and what an instance may know of itself."""
    own = {
        "DRCLOUD_APP": marks[LABEL + "app"],
        "DRCLOUD_ENV": marks[LABEL + "env"],
        "DRCLOUD_TAG": marks[LABEL + "tag"],
        "DRCLOUD_HOST": host,
        "DRCLOUD_SLOT": marks[LABEL + "slot"],
    }
    own.update(spec.get("env") or {})
    return sorted(f"{name}={value}" for name, value in own.items())


def host_config(spec, bindings):
    """Return limits, rights and ports: nothing is allowed that the specification does not ask for."""
    resources = spec.get("resources") or {}
    config = {
        "PortBindings": bindings,
        # The engine's own driver, whichever it is: journald on hosts of docker_engine.
        "LogConfig": {"Type": "", "Config": {"labels": ",".join(LABEL + name for name in LOGGED)}},
        "RestartPolicy": {"Name": "unless-stopped"},
        "ReadonlyRootfs": bool(spec["read_only"]),
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.get("cap_add") or []),
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
    }
    if spec["read_only"]:
        config["Tmpfs"] = {"/tmp": SCRATCH}  # noqa: S108 - inside the container
    if resources.get("memory"):
        config["Memory"] = size(resources["memory"])
    if resources.get("cpus"):
        config["NanoCpus"] = int(resources["cpus"] * 1000000000)
    if resources.get("pids"):
        config["PidsLimit"] = int(resources["pids"])
    return config


def available_memory(path="/proc/meminfo"):
    """Return the bytes that may be used without swapping (proc(5), MemAvailable), or None if nobody says."""
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("MemAvailable:")]
    return int(found[0][1]) * 1024 if found else None


def size(text):
    """Return bytes for a text like C(256m)."""
    unit = text[-1:].lower()
    if unit in SUFFIXES:
        return int(text[:-1]) * SUFFIXES[unit]
    return int(text)


def retired(instances, keep):
    """Return the stopped instances beyond the newest C(keep): what retention does not need."""
    stopped = [instance for instance in instances if instance["status"] not in LIVE]
    stopped.sort(key=lambda instance: instance["created"], reverse=True)
    return stopped[keep:]
