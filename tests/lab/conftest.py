"""The shared lab: booted when it is down, and made the target of everything the tests call."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from drcloud.lab import status
from drcloud.lab.identity import Lab, locate

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab of this checkout, up and in the environment of this process."""
    found = locate()
    if not status.read(found).ready:
        booted = subprocess.run(
            [sys.executable, "-m", "drcloud", "lab", "up"], check=False, capture_output=True, text=True
        )
        assert booted.returncode == 0, f"{booted.stdout}\n{booted.stderr}"
    os.environ.update(status.environment(found))
    return found


@pytest.fixture(scope="session")
def on(lab: Lab) -> Run:
    """Run a shell command on a host over SSH: ``on("dk-01", "sudo id")``."""

    def run(host: str, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ssh", "-F", str(lab.ssh / "lab_config"), host, command],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
