"""The outer engine: a dockerd of the lab's own where no other one answers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import docker
from docker.errors import DockerException

from drcloud.errors import DrcloudError, InvalidInputError
from drcloud.lab import processes
from drcloud.lab.identity import Lab

MARK = "DRCLOUD_LAB_WORKER"
_DEFAULT = "unix:///var/run/docker.sock"
_START_SECONDS = 120.0


def answers(url: str) -> bool:
    """Tell whether a Docker Engine answers at ``url``."""
    try:
        client = docker.DockerClient(base_url=url, timeout=10)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def choose(lab: Lab, environ: Mapping[str, str], recorded: str | None) -> str:
    """Return the URL of the lab's engine: what was used before, what answers, else an own one.

    Loop devices and bridges must be of this machine, so an engine elsewhere is refused.
    """
    own = f"unix://{lab.socket}"
    if recorded == own:
        return own
    for url in filter(None, (recorded, environ.get("DOCKER_HOST"), _DEFAULT)):
        if url == own or _of_a_lab(url, lab) or not answers(url):
            continue
        if not url.startswith("unix://"):
            raise InvalidInputError(
                f"DOCKER_HOST {url} is an engine elsewhere, and the lab needs one on this machine: unset it"
            )
        return url
    return own


def _of_a_lab(url: str, lab: Lab) -> bool:
    """Tell whether a socket belongs to another lab, which would take our hosts down with it."""
    path = Path(url.removeprefix("unix://"))
    return path.name == lab.socket.name and path.parent.name.startswith("lab-")


def ensure(lab: Lab) -> bool:
    """Start the lab's own engine unless it answers, also over what a killed one left."""
    url = f"unix://{lab.socket}"
    # An engine that is alive but silent is busy or starting: ending it would end all hosts.
    if answers(url) or (_daemons(lab) and processes.wait(lambda: answers(url), _START_SECONDS)):
        return False
    stop(lab)
    for name in ("data", "exec", "log"):
        (lab.engine / name).mkdir(parents=True, exist_ok=True, mode=0o711)
    _spawn(lab)
    if not processes.wait(lambda: answers(url), _START_SECONDS):
        raise DrcloudError(f"the lab's engine did not start within {_START_SECONDS:.0f} s: see {_log(lab)}")
    return True


def stop(lab: Lab) -> bool:
    """End the lab's own engine and all that runs in its containers; return whether anything was there.

    Works by what the kernel knows (cgroups, command lines, mounts), for the engine may be half started.
    """
    found = _end(lambda: _daemons(lab))
    found |= _end(lambda: processes.with_word(str(lab.engine / "exec")))
    found |= _end(lambda: _members(lab))
    found |= unmount(lab.engine)
    for path in (
        lab.engine / "docker.pid",
        lab.socket,
        lab.engine / "exec" / "containerd" / "containerd.pid",
    ):
        path.unlink(missing_ok=True)
    _remove_cgroups(lab)
    return found


def unmount(directory: Path) -> bool:
    """Detach every mount below a directory, also a busy one."""
    points = processes.mounts_below(directory)
    for point in points:
        subprocess.run(["umount", "--lazy", str(point)], check=False, capture_output=True)
    return bool(points)


def _spawn(lab: Lab) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in (MARK, "DOCKER_HOST")}
    with _log(lab).open("ab") as log:
        subprocess.Popen(
            [
                "dockerd",
                f"--data-root={lab.engine / 'data'}",
                f"--exec-root={lab.engine / 'exec'}",
                f"--pidfile={lab.engine / 'docker.pid'}",
                f"--host=unix://{lab.socket}",
                "--bridge=none",
                "--iptables=false",
                # One cgroup above all containers is how leftovers of a killed engine are found.
                "--exec-opt=native.cgroupdriver=cgroupfs",
                f"--cgroup-parent=/{lab.name}",
            ],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _daemons(lab: Lab) -> list[int]:
    return processes.with_word(f"--data-root={lab.engine / 'data'}")


def _log(lab: Lab) -> Path:
    return lab.engine / "log" / "dockerd.log"


def _end(find: processes.Finder) -> bool:
    pids = find()
    processes.kill(pids)
    # One that waits for a slow disk dies when the disk has answered.
    if pids and not processes.wait(lambda: not find(), 60):
        raise DrcloudError(f"processes of the lab cannot be ended: {', '.join(map(str, find()))}")
    return bool(pids)


def _cgroups(lab: Lab) -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [path for path in (root / lab.name, *root.glob(f"*/{lab.name}")) if path.is_dir()]


def _members(lab: Lab) -> list[int]:
    members: set[int] = set()
    for cgroup in _cgroups(lab):
        # Services of the hosts come and go meanwhile: os.walk passes over what is gone.
        for place, _, _ in os.walk(cgroup):
            with suppress(OSError, ValueError):
                members.update(int(line) for line in (Path(place) / "cgroup.procs").read_text().split())
    return sorted(members)


def _remove_cgroups(lab: Lab) -> None:
    for cgroup in _cgroups(lab):
        for place, _, _ in os.walk(cgroup, topdown=False):
            with suppress(OSError):
                Path(place).rmdir()
