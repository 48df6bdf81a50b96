"""What a killed ``drcloud lab up`` left running is ended, whatever it starts meanwhile."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

import pytest

from drcloud.lab import engine, processes, removal
from drcloud.lab.identity import locate


def test_what_is_started_between_looking_and_killing_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRCLOUD_LAB_ID", f"o{os.getpid()}"[:11])
    lab = locate()
    marked = {**os.environ, engine.MARK: lab.id}
    orphans = [subprocess.Popen(["sleep", "60"], env=marked)]
    kill = processes.kill

    def late(pids: Iterable[int]) -> None:
        if len(orphans) == 1:
            orphans.append(subprocess.Popen(["sleep", "60"], env=marked))
        kill(pids)

    monkeypatch.setattr(processes, "kill", late)
    try:
        assert removal.end_orphans(lab)
        assert [one.wait(20) for one in orphans] == [-9, -9]
        assert not removal.end_orphans(lab)
    finally:
        for one in orphans:
            one.kill()
            one.wait()
