# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instance: what a container of ours is called, how it is made, and what it says of itself. Pure."""

from __future__ import annotations

from ansible_collections.dianrong.cloud.plugins.module_utils._secrets import INSIDE

# The states in which a container holds its port, or will again by itself (Engine API 1.41).
LIVE = ("running", "restarting", "paused")
LABEL = "com.dianrong.cloud."
MARK = LABEL + "cmdb"
KNOWN = ("app", "env", "tag", "digest", "revision", "deployment", "slot")
# What the log driver keeps of the labels with each line; the central log files by it.
LOGGED = ("app", "env", "slot", "tag", "revision")
# The one log driver that takes no labels: https://docs.docker.com/engine/logging/drivers/local/
UNLABELLED = "local"
SUFFIXES = {"k": 1024, "m": 1024**2, "g": 1024**3}
SCRATCH = "rw,nosuid,nodev,noexec,size=64m"
SHORT = 8
# What the CMDB calls them, and what the Engine API does.
RESTARTS = {"never": "no"}
# The revision of a container that was never deployed, and the slot that it stands in.
ADOPTED = "adopted"
ADOPTED_SLOT = "a"


def container_name(app, env, slot, revision):
    """Return the name of a container."""
    return f"{app}_{env}_{slot}_{revision[:SHORT]}"


def labels(cmdb, **values):
    """Return the labels that make a container ours."""
    ours = {LABEL + name: values[name] for name in KNOWN}
    ours[MARK] = cmdb
    return ours


def is_ours(labels):
    """Tell whether a container with these labels is an instance of ours."""
    return all(LABEL + name in labels for name in KNOWN)


def describe(container):
    """Return what the CMDB keeps of an inspected container that is ours, or None if it is not."""
    found = (container.get("Config") or {}).get("Labels") or {}
    if not is_ours(found):
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


def adopted(container, app, env):
    """Return what stands for a container of somebody else's that an app has in its first slot."""
    state = container["State"]
    return {
        "app": app,
        "env": env,
        "slot": ADOPTED_SLOT,
        **dict.fromkeys(("tag", "digest", "deployment", "cmdb"), ""),
        "revision": ADOPTED,
        "name": container["Name"].lstrip("/"),
        "id": container["Id"],
        "status": state.get("Status") or "unknown",
        "health": "unknown" if state.get("Running") else "stopped",
        "created": container.get("Created") or "",
        "restarts": container.get("RestartCount") or 0,
        "started_at": state.get("StartedAt") or "",
    }


def payload(image, spec, marks, publish, host, given=None):
    """Return what the Engine API wants for a new container (POST /containers/create, API 1.41).

    C(given) are the secrets: C(env) as variables, C(secrets) is the directory that has the others.
    """
    given = given or {}
    inner = "{}/tcp".format(spec["port"])
    wanted = {
        "Image": image,
        "Env": environment(spec, marks, host, given.get("env")),
        "Labels": dict(spec.get("labels") or {}, **marks),
        "User": spec.get("user") or "",
        "ExposedPorts": {inner: {}},
        "StopSignal": spec["stop_signal"],
        "StopTimeout": int(spec["stop_grace"]),
        "HostConfig": host_config(
            spec,
            {inner: [{"HostIp": publish["address"], "HostPort": str(publish["port"])}]},
            given.get("secrets"),
        ),
    }
    if spec.get("command"):
        wanted["Cmd"] = list(spec["command"])
    return wanted


def environment(spec, marks, host, secrets=None):
    """Return the variables of the app, and what an instance may know of itself; secrets win."""
    own = {
        "DRCLOUD_APP": marks[LABEL + "app"],
        "DRCLOUD_ENV": marks[LABEL + "env"],
        "DRCLOUD_TAG": marks[LABEL + "tag"],
        "DRCLOUD_HOST": host,
        "DRCLOUD_SLOT": marks[LABEL + "slot"],
    }
    own.update(spec.get("env") or {})
    own.update(secrets or {})
    return sorted(f"{name}={value}" for name, value in own.items())


def host_config(spec, bindings, secrets=None):
    """Return limits, rights and ports: nothing is allowed that the specification does not ask for."""
    restart = spec.get("restart") or "unless-stopped"
    config = {
        "PortBindings": bindings,
        "LogConfig": log_config(spec.get("log") or {}),
        "RestartPolicy": {"Name": RESTARTS.get(restart, restart)},
        "ReadonlyRootfs": bool(spec["read_only"]),
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.get("cap_add") or []),
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
    }
    if spec["read_only"]:
        config["Tmpfs"] = {"/tmp": SCRATCH}  # noqa: S108 - inside the container
    config.update(limits(spec.get("resources") or {}))
    config.update(disks(spec, secrets))
    return config


def log_config(log):
    """Return how the engine keeps what an instance writes.

    Without a driver it is the engine's own, whichever that is: journald on hosts of docker_engine.
    """
    options = dict(log.get("options") or {})
    if log.get("driver") != UNLABELLED:
        options["labels"] = ",".join(LABEL + name for name in LOGGED)
    return {"Type": log.get("driver") or "", "Config": options}


def disks(spec, secrets=None):
    """Return what of the host's disks an instance sees, its secrets among it."""
    mounts = [
        bind(volume["source"], volume["target"], bool(volume.get("read_only")))
        for volume in spec.get("volumes") or []
    ]
    if secrets:
        mounts.append(bind(secrets, INSIDE, True))
    devices = [
        {
            "PathOnHost": device["source"],
            "PathInContainer": device["target"],
            "CgroupPermissions": device.get("access") or "rw",
        }
        for device in spec.get("devices") or []
    ]
    found = {"Mounts": mounts, "Devices": devices}
    return {name: parts for name, parts in found.items() if parts}


def bind(source, target, read_only):
    """Return a mount of a path of the host; what is not there is an error and not made."""
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def limits(resources):
    """Return the limits of an instance; those that are not said are none."""
    config = {}
    if resources.get("memory"):
        config["Memory"] = size(resources["memory"])
    if resources.get("cpus"):
        config["NanoCpus"] = int(resources["cpus"] * 1000000000)
    if resources.get("pids"):
        config["PidsLimit"] = int(resources["pids"])
    ulimits = resources.get("ulimits") or {}
    if ulimits:
        config["Ulimits"] = [ulimit(name, ulimits[name]) for name in sorted(ulimits)]
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


def ulimit(name, limit):
    """Return a limit of the kernel; the hard one is the soft one where it is not said."""
    soft, hard = limit["soft"], limit.get("hard")
    return {"Name": name, "Soft": int(soft), "Hard": int(soft if hard is None else hard)}


def size(text):
    """Return bytes for a text like C(256m)."""
    unit = text[-1:].lower()
    if unit in SUFFIXES:
        return int(text[:-1]) * SUFFIXES[unit]
    return int(text)


def retired(instances, keep):
    """Return the stopped instances beyond the newest C(keep): what retention does not need."""
    stopped = [
        instance
        for instance in instances
        if instance["status"] not in LIVE and instance["revision"] != ADOPTED
    ]
    stopped.sort(key=lambda instance: instance["created"], reverse=True)
    return stopped[keep:]
