"""Steps of the role lab_hosts: ``python -m drcloud.lab STEP``; each answers with one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drcloud.errors import DrcloudError
from drcloud.lab import disks, engine, hosts, image, limits, material, readiness, removal
from drcloud.lab import prepare as preparation
from drcloud.lab.identity import Lab, locate

Answer = dict[str, Any]


def prepare(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Write the lab's keys, secrets and import file; answer with the plan."""
    plan, changed = preparation.prepare(lab)
    return {"changed": changed, "plan": plan.as_dict()}


def start_engine(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Start the lab's own engine."""
    return {"changed": engine.ensure(lab)}


def make_images(lab: Lab, arguments: argparse.Namespace) -> Answer:
    """Make the images that standard input describes, as JSON."""
    files = Path(arguments.files)
    recipes = image.read(json.load(sys.stdin), files, preparation.recipes(lab))
    url = preparation.recall(lab)["docker_host"]
    made = image.ensure(url, recipes, files / "make-rootfs", lab.cache, lab.state / "tmp")
    return {"changed": bool(made), "made": made}


def attach_disks(lab: Lab, arguments: argparse.Namespace) -> Answer:
    """Attach the hosts' raw disks and tell each host the device numbers of its own."""
    hosts = [host for host in preparation.recall(lab)["hosts"] if host["disks"]]
    names = [f"{host['name']}-{disk}" for host in hosts for disk in host["disks"]]
    devices, changed = disks.ensure(lab.state / "disks", names, int(arguments.size))
    for host in hosts:
        numbers = {disk: os.stat(devices[f"{host['name']}-{disk}"]).st_rdev for disk in host["disks"]}
        text = "".join(f"{disk} {os.major(number)} {os.minor(number)}\n" for disk, number in numbers.items())
        changed |= material.write(lab.state / "hosts" / host["name"] / "disks", text.encode(), 0o644)
    return {"changed": changed, "devices": devices}


def start_hosts(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Make and start the hosts."""
    raised = limits.ensure()
    started = hosts.ensure(preparation.recall(lab))
    return {"changed": raised or bool(started), "started": started}


def wait(lab: Lab, arguments: argparse.Namespace) -> Answer:
    """Wait until all hosts answer over SSH."""
    names = [host["name"] for host in preparation.recall(lab)["hosts"]]
    readiness.wait(lab.ssh / "lab_config", names, float(arguments.seconds))
    return {"changed": False, "hosts": names}


def remove(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Remove the lab."""
    return {"changed": removal.remove(lab)}


STEPS: dict[str, Callable[[Lab, argparse.Namespace], Answer]] = {
    "prepare": prepare,
    "engine": start_engine,
    "images": make_images,
    "disks": attach_disks,
    "hosts": start_hosts,
    "wait": wait,
    "remove": remove,
}


def main() -> int:
    """Run one step; an error is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m drcloud.lab", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--files", help="the role's files")
    parser.add_argument("--size", type=int, default=4 << 30, help="size of a raw disk in bytes")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to wait")
    arguments = parser.parse_args()
    try:
        answer = STEPS[arguments.step](locate(), arguments)
    except DrcloudError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
