"""Taking a lab away, in whatever state it was left."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import docker

from drcloud.lab import disks, engine, processes
from drcloud.lab.hosts import LABEL
from drcloud.lab.identity import Lab
from drcloud.lab.prepare import recall


def end_orphans(lab: Lab) -> bool:
    """Kill what a killed ``drcloud lab up`` or ``down`` of this lab left running."""
    family = {os.getpid()} | processes.ancestors(os.getpid())

    def none_left() -> bool:
        # Listed anew each time: what was forked after the list was made is not in it.
        orphans = [pid for pid in processes.with_environment(f"{engine.MARK}={lab.id}") if pid not in family]
        processes.kill(orphans)
        return not orphans

    found = not none_left()
    processes.wait(none_left, 10)
    return found


def remove(lab: Lab) -> bool:
    """Remove containers, engine, bridge, rules, disks, trust and state; return whether anything was there."""
    record = recall(lab)
    found = _release_containers(lab, record.get("docker_host"))
    found |= engine.stop(lab)
    found |= _remove_bridge(lab)
    found |= _remove_rules(lab)
    found |= disks.detach(lab.state / "disks")
    found |= engine.unmount(lab.state)
    found |= _remove_trust(record.get("registry"))
    if lab.state.exists():
        shutil.rmtree(lab.state)
        found = True
    return found


def _release_containers(lab: Lab, url: str | None) -> bool:
    """Remove containers and network from an engine that is not the lab's own."""
    if url is None or url == f"unix://{lab.socket}" or not engine.answers(url):
        return False
    client = docker.DockerClient(base_url=url, timeout=120)
    try:
        filters: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={lab.id}"}
        containers = client.containers.list(all=True, filters=filters)
        for container in containers:
            container.remove(force=True, v=True)
        networks = client.networks.list(filters=filters)
        for network in networks:
            network.remove()
    finally:
        client.close()
    return bool(containers or networks)


def _remove_bridge(lab: Lab) -> bool:
    if not (Path("/sys/class/net") / lab.name).exists():
        return False
    subprocess.run(["ip", "link", "delete", lab.name], check=False, capture_output=True)
    return True


def _remove_rules(lab: Lab) -> bool:
    """Delete the packet filter rules that carry the lab's name as their comment."""
    if shutil.which("iptables") is None:
        return False
    found = False
    for table in ("nat", "filter"):
        rules = subprocess.run(
            ["iptables", "-w", "-t", table, "-S"], check=False, capture_output=True, text=True
        )
        for line in rules.stdout.splitlines():
            words = shlex.split(line)
            if words[0] == "-A" and f"drcloud-lab-{lab.id}" in words:
                subprocess.run(["iptables", "-w", "-t", table, "-D", *words[1:]], check=False)
                found = True
    return found


def _remove_trust(registry: str | None) -> bool:
    if not registry:
        return False
    directory = Path("/etc/docker/certs.d") / registry
    if not directory.is_dir():
        return False
    shutil.rmtree(directory)
    return True
