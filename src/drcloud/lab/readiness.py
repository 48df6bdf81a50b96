"""Whether the lab's hosts can be reached as they will be: over SSH, through the bastion."""

from __future__ import annotations

import concurrent.futures
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from drcloud.errors import UnreachableError


def probe(config: Path, host: str) -> bool:
    """Tell whether a command runs on a host as root through SSH and sudo."""
    command = ["ssh", "-F", str(config), host, "sudo", "-n", "systemctl", "is-system-running", "--wait"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    except subprocess.TimeoutExpired:
        return False
    # "degraded" is a system that is up: a unit that cannot work in a container has failed.
    return done.stdout.strip() in ("running", "degraded")


def wait(config: Path, hosts: Sequence[str], seconds: float) -> None:
    """Return when all hosts answer; UnreachableError names those that do not in time."""
    deadline = time.monotonic() + seconds
    missing = list(hosts)
    with concurrent.futures.ThreadPoolExecutor(max_workers=5) as pool:
        while missing:
            up = pool.map(lambda host: probe(config, host), missing)
            missing = [host for host, good in zip(list(missing), up, strict=True) if not good]
            if missing and time.monotonic() > deadline:
                raise UnreachableError(
                    f"no SSH within {seconds:.0f} s to {', '.join(missing)}: try `drcloud lab down`, then up"
                )
            if missing:
                time.sleep(0.5)
