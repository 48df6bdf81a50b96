"""A lab killed at any point is completed by the next up and removed by the next down."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drcloud.lab import disks, processes, status
from drcloud.lab.identity import Lab, locate

pytestmark = pytest.mark.lab
COMMAND = [sys.executable, "-m", "drcloud", "lab"]


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab of this test alone, gone when the test ends."""
    for name in ("DOCKER_HOST", "DRCLOUD_LAB_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DRCLOUD_LAB_ID", f"t{os.getpid()}"[:11])
    yield locate()
    finish("down")


def finish(verb: str) -> None:
    """Run a lab command to its end; it must succeed."""
    done = subprocess.run([*COMMAND, verb], check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def kill_at(verb: str, task: str) -> None:
    """Run a lab command and kill -9 it as soon as the output names a task: as it begins."""
    seen = ""
    with subprocess.Popen([*COMMAND, verb], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while chunk := os.read(process.stdout.fileno(), 4096):
            seen += chunk.decode(errors="replace")
            if task in seen:
                process.kill()
                return
    raise AssertionError(f"no task {task!r} in {seen}")


def traces(lab: Lab) -> list[str]:
    """Everything of a lab that is still on this machine."""
    rules = "".join(
        subprocess.run(
            ["iptables", "-w", "-t", table, "-S"], check=True, capture_output=True, text=True
        ).stdout
        for table in ("nat", "filter")
    )
    candidates = [
        lab.state,
        lab.state.with_suffix(".lock"),
        Path("/sys/class/net") / lab.name,
        # Hosts of other labs start and end services meanwhile: os.walk passes over what is gone.
        *(Path(place) / lab.name for place, names, _ in os.walk("/sys/fs/cgroup") if lab.name in names),
        *processes.mounts_below(lab.state),
        *disks.attached(lab.state),
    ]
    found = [str(path) for path in candidates if path.exists()]
    found += [line for line in rules.splitlines() if f"drcloud-lab-{lab.id}" in line]
    found += [processes.command_line(pid) for pid in processes.with_word(str(lab.engine))]
    return found


def test_down_cleans_up_after_a_killed_up(private: Lab) -> None:
    kill_at("up", "Make the images")
    assert traces(private)
    finish("down")
    assert traces(private) == []


def test_down_of_no_lab_is_fine(private: Lab) -> None:
    finish("down")
    assert traces(private) == []


@pytest.mark.lab_slow
def test_up_and_down_survive_kills_everywhere(private: Lab) -> None:
    for task in ("Write keys", "Start the lab's own engine", "Make the images", "Make the bridge"):
        kill_at("up", task)
    for task in ("Start the hosts", "Wait for SSH"):
        kill_at("up", task)
    finish("up")
    assert status.read(private).ready

    for pid in processes.with_word(str(private.engine)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not status.read(private).engine
    finish("up")
    assert status.read(private).ready

    kill_at("down", "Remove hosts, engine, network, disks and state")
    finish("down")
    assert traces(private) == []
