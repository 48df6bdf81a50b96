"""What `make` says, in one sentence and before doing anything, where the machine is not what it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVERYTHING = ("awk", "apt-get", "bash", "dpkg-query", "env", "git", "id", "make", "uname")


def preflight(what: str, path: Path, *, user: int | None = None) -> subprocess.CompletedProcess[str]:
    # A copy, for nobody else may be able to look into root's checkout.
    script = path / "preflight"
    script.write_bytes((ROOT / "scripts/preflight").read_bytes())
    command = ["/usr/bin/bash", script, what]
    environment = {"PATH": str(path)}
    return subprocess.run(
        command, cwd="/", env=environment, user=user, capture_output=True, text=True, check=False
    )


@pytest.fixture
def machine() -> Iterator[Path]:
    """Give a directory of programs, as the only one on the PATH; everybody may look into it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        for program in EVERYTHING:
            found = shutil.which(program)
            assert found is not None, program
            (path / program).symlink_to(found)
        (path / "python3").symlink_to("/usr/bin/python3")
        yield path


def test_a_machine_with_everything_passes(machine: Path) -> None:
    done = preflight("lab", machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("git", "git is needed"),
        ("make", "make is needed"),
        ("apt-get", "needs Debian 12"),
        ("dpkg-query", "needs Debian 12"),
    ],
)
def test_a_missing_program_is_named(machine: Path, missing: str, said: str) -> None:
    (machine / missing).unlink()
    done = preflight("lab", machine)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_lab_needs_root_and_development_does_not(machine: Path) -> None:
    nobody = 65534
    assert preflight("python", machine, user=nobody).returncode == 0
    done = preflight("lab", machine, user=nobody)
    assert done.returncode == 2
    assert "needs root" in done.stderr
    assert done.stderr.count("\n") == 1
