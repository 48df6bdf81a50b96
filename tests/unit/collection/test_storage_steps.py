"""What single steps do to a host, with the commands that they would run on it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _storage_journal,
    _storage_look,
    _storage_steps,
)
from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import Declared, Plan, Record, Seen

UUID = "3c1f6a52-9d0e-4b7a-8f2d-5e6a7b8c9d01"
DISK = SimpleNamespace(numbers="7:1", name="loop1")


@pytest.fixture
def ran(monkeypatch):
    """Return the commands that steps run; none of them does anything, and the mount is always there."""
    commands = []

    def run(*command):
        commands.append(" ".join(command))
        return ""

    monkeypatch.setattr(_storage_steps, "run", run)
    monkeypatch.setattr(_storage_steps, "_link_by_uuid", lambda number, node: None)
    monkeypatch.setattr(_disk_uses, "own_mounts", list)
    monkeypatch.setattr(_disk_uses, "mounted_at", lambda point, mounts: DISK)
    return commands


def work(purpose, point, *steps):
    declared = Declared(purpose, path="/dev/drc-data", mount=str(point))
    return _storage_steps.Work(Plan(declared, Seen("/dev/drc-data", 1 << 32), steps, UUID, "xfs"), DISK)


def test_systemd_reads_the_units_again_before_it_mounts(ran, tmp_path):
    """A run that died right after it wrote the unit for a new disk left systemd with the old one's."""
    work("docker-data", tmp_path / "data").mount()
    assert ran[0] == "systemctl daemon-reload"
    assert ran[1].startswith("systemctl start ")
    assert ran[1].endswith("data.mount")


def test_systemd_reads_the_units_once(ran, tmp_path):
    work("docker-data", tmp_path / "data", "enable unit", "mount").mount()
    assert [command.split()[1] for command in ran] == ["start"]


def test_the_directory_below_a_volume_is_closed_before_the_mount(ran, tmp_path):
    point = tmp_path / "volume"
    work("app-volume", point).mount()
    assert ran[:2] == [f"chattr +i {point}", "systemctl daemon-reload"]
    assert point.is_dir()


def test_what_is_written_below_a_volume_at_the_last_moment_is_not_hidden(ran, tmp_path):
    point = tmp_path / "volume"
    point.mkdir()
    (point / "ibdata1").touch()
    with pytest.raises(_storage_steps.StorageError, match="got entries by now that the volume would hide"):
        work("app-volume", point).mount()
    assert ran == [f"chattr +i {point}", f"chattr -i {point}"]


def test_a_file_system_that_cannot_close_a_directory_is_no_obstacle(ran, tmp_path, monkeypatch):
    def run(*command):
        ran.append(command[0])
        if command[0] == "chattr":
            raise _storage_steps.StorageError("chattr failed: Operation not supported")
        return ""

    monkeypatch.setattr(_storage_steps, "run", run)
    work("app-volume", tmp_path / "volume").mount()
    assert ran == ["chattr", "systemctl", "systemctl"]


def test_a_mount_point_is_looked_at_under_its_real_path(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real, linked = (
        Declared("app-volume", path="/dev/x", mount=str(tmp_path / name)) for name in ("real", "link/a")
    )
    assert _storage_look._place(linked, DISK, []).leads_to == str(tmp_path / "real/a")
    assert _storage_look._place(real, DISK, []).leads_to is None


def stopped(engine, socket):
    record = Record(UUID, "xfs", "moving", 1 << 32, engine=engine, socket=socket)
    declared = Declared("docker-data", path="/dev/drc-data", mount="/var/lib/docker")
    return _storage_steps.Work(
        Plan(declared, Seen("/dev/drc-data", 1 << 32, record=record), (), UUID, "xfs"), DISK
    )


@pytest.mark.parametrize(
    ("engine", "socket", "started"),
    [
        (True, True, ["systemctl start docker.socket docker.service"]),
        (False, True, ["systemctl start docker.socket"]),
        (False, False, []),
    ],
)
def test_what_was_stopped_for_a_move_runs_again_and_nothing_stays_masked(
    ran, monkeypatch, engine, socket, started
):
    monkeypatch.setattr(_storage_steps, "_engine_units", lambda: ["docker.socket", "docker.service"])
    stopped(engine, socket).start_engine()
    assert ran == ["systemctl unmask --runtime --quiet docker.socket docker.service", *started]


def test_the_journal_knows_what_ran_before_a_move(ran, monkeypatch, tmp_path):
    monkeypatch.setattr(_storage_journal, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(_storage_steps, "_active", lambda unit: unit == "docker.socket")
    made = work("docker-data", "/var/lib/docker")
    made.take("note moving")
    [record] = _storage_journal.read().values()
    assert (record.step, record.engine, record.socket) == ("moving", False, True)
    made.take("note ready")
    [record] = _storage_journal.read().values()
    assert (record.step, record.engine, record.socket) == ("ready", False, False)
