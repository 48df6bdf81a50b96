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


def recipe(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Write the files that go into the images; answer with a key over them."""
    key, changed = preparation.recipe(lab)
    return {"changed": changed, "key": key}


def start_engine(lab: Lab, _arguments: argparse.Namespace) -> Answer:
    """Start the lab's own engine."""
    return {"changed": engine.ensure(lab)}


def import_image(lab: Lab, arguments: argparse.Namespace) -> Answer:
    """Import a root file system as an image."""
    url = preparation.recall(lab)["docker_host"]
    repository, _, tag = str(arguments.image).rpartition(":")
    return {"changed": image.ensure(url, Path(arguments.tar), repository, tag, str(arguments.key))}


def attach_disks(lab: Lab, arguments: argparse.Namespace) -> Answer:
    """Attach the hosts' spare disks and tell each host its device number."""
    names = [host["name"] for host in preparation.recall(lab)["hosts"] if host["disk"]]
    devices, changed = disks.ensure(lab.state / "disks", names, int(arguments.size))
    for name, device in devices.items():
        number = os.stat(device).st_rdev
        seed = f"{os.major(number)} {os.minor(number)}\n".encode()
        changed |= material.write(lab.state / "hosts" / name / "spare", seed, 0o644)
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
    "recipe": recipe,
    "engine": start_engine,
    "image": import_image,
    "disks": attach_disks,
    "hosts": start_hosts,
    "wait": wait,
    "remove": remove,
}


def main() -> int:
    """Run one step; an error is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m drcloud.lab", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--image", help="name:tag of the image to make")
    parser.add_argument("--tar", help="root file system of the image")
    parser.add_argument("--key", help="what the image was made from")
    parser.add_argument("--size", type=int, default=4 << 30, help="size of a spare disk in bytes")
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
