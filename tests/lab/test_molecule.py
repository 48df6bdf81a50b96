"""Molecule's scenarios on the shared lab: what testinfra sees, and in the long run each role by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))


def molecule(lab: Lab, *arguments: str) -> None:
    """Call molecule; what it said is the message of a failure."""
    binaries = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        [binaries / "molecule", *arguments],
        cwd=lab.checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"


def test_the_hosts_are_what_all_scenarios_expect(provisioned: Lab) -> None:
    """The default scenario's verification takes along the tests of every role.

    Its convergence is the playbook that provisioned these hosts, and that a second run of it changes nothing
    is a test of its own: neither is repeated here.
    """
    molecule(provisioned, "verify")


@pytest.mark.lab_slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_converges_twice_and_verifies(provisioned: Lab, scenario: str) -> None:
    molecule(provisioned, "test", "--scenario-name", scenario, "--destroy", "never")
