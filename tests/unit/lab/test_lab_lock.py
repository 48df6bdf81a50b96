"""One command at a time works on a lab, and a dead one does not block."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drcloud.errors import LockedError
from drcloud.exitcodes import ExitCode
from drcloud.lab import lock
from drcloud.lab.identity import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(id="x", checkout=tmp_path, state=tmp_path / "lab-x", cache=tmp_path)


def test_a_second_holder_is_refused_and_told_by_whom(lab: Lab) -> None:
    with (
        lock.exclusive(lab),
        pytest.raises(LockedError, match=f"process {os.getpid()} works on the lab x") as caught,
        lock.exclusive(lab),
    ):
        pass
    assert caught.value.exit_code is ExitCode.LOCKED


def test_the_lock_of_a_dead_process_is_free(lab: Lab) -> None:
    lab.state.mkdir()
    (lab.state.parent / "lab-x.lock").write_text("999999\n")
    with lock.exclusive(lab):
        pass


def test_nothing_stays_when_the_lab_is_gone(lab: Lab) -> None:
    with lock.exclusive(lab):
        pass
    assert list(lab.state.parent.iterdir()) == []
