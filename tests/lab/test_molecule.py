"""Molecule's default scenario on the shared lab: converge, idempotence, and testinfra's look at the hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab


@pytest.mark.timeout(1800)
def test_the_default_scenario(provisioned: Lab) -> None:
    binaries = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        [binaries / "molecule", "test", "--destroy", "never"],
        cwd=provisioned.checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
