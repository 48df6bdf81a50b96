"""Real block devices on this machine: who uses them, what is formatted, what a torn mkfs leaves."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _disks,
    _signatures,
    _storage_journal,
    _storage_look,
    _storage_plan,
    _storage_steps,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
MIB = 1 << 20
SIZE = 400 * MIB
FORMAT = ("note formatting", "format", "note formatted")
Make = Callable[[], str]


def run(*command: str) -> str:
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_storage_journal, "DIRECTORY", str(tmp_path / "journal"))


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    image = tmp_path / "disk.img"
    with image.open("wb") as handle:
        handle.truncate(SIZE)
    node = run("losetup", "--find", "--show", str(image))
    yield node
    run("losetup", "--detach", node)


def planned(node: str, **declared: object) -> tuple[_storage_plan.Plan, _disks.Disk]:
    wanted = _storage_plan.Declared(
        "app-volume", path=node, mount="/srv/drc-test", **({"filesystem": "xfs"} | declared)
    )
    disk = _disks.by_path(node)
    seen = _storage_look.look(wanted, disk, _storage_journal.of(_storage_journal.read(), wanted.names))
    return _storage_plan.plan(wanted, seen, "test"), disk


def formatted(node: str, **declared: object) -> _storage_plan.Plan:
    """Do what a run does up to the file system; what follows needs systemd and is tested in the lab."""
    made, disk = planned(node, **declared)
    steps = tuple(step for step in made.steps if step in (*FORMAT, "wipe"))
    _storage_steps.carry_out(replace(made, steps=steps), disk)
    return made


def carried(node: str) -> list[str]:
    with _storage_look.reader(node) as read:
        return [str(one) for one in _signatures.signatures(read, SIZE)]


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_blank_device_gets_the_file_system_that_check_mode_foretold(loop: str, kind: str):
    foretold, _disk = planned(loop, filesystem=kind)
    assert foretold.steps[:3] == FORMAT
    assert formatted(loop, filesystem=kind).uuid == foretold.uuid
    assert run("blkid", "--probe", "--match-tag", "UUID", "--output", "value", loop) == foretold.uuid
    assert run("blkid", "--probe", "--match-tag", "TYPE", "--output", "value", loop) == kind
    again, _disk = planned(loop, filesystem=kind)
    assert again.uuid == foretold.uuid
    assert "format" not in again.steps


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_file_system_that_was_half_made_is_made_again_under_its_uuid(loop: str, kind: str):
    made, disk = planned(loop, filesystem=kind)
    _storage_steps.carry_out(replace(made, steps=("note formatting",)), disk)
    command = {"xfs": ["mkfs.xfs", "-m", f"uuid={made.uuid}"], "ext4": ["mkfs.ext4", "-U", made.uuid]}[kind]
    run(*command, "-q", loop)
    with open(loop, "r+b") as device:
        # As if the superblock was not written yet: the rest of mkfs's work lies bare.
        device.write(bytes(MIB))
        device.seek(SIZE // 2)
        device.write(b"torn")
    assert formatted(loop, filesystem=kind).uuid == made.uuid
    assert f"{kind} file system (UUID {made.uuid})" in carried(loop)[0]


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_mkfs_killed_at_any_moment_is_picked_up(loop: str, kind: str):
    made, disk = planned(loop, filesystem=kind)
    command = {"xfs": ["mkfs.xfs", "-m", f"uuid={made.uuid}"], "ext4": ["mkfs.ext4", "-U", made.uuid]}[kind]
    whole = writes_until_killed(sys.maxsize, *command, "-q", loop)
    assert whole > 4
    for writes in (1, whole // 3, whole * 2 // 3, whole - 1):
        run("blkdiscard", "--force", loop)
        _storage_steps.carry_out(replace(made, steps=("note formatting",)), disk)
        assert writes_until_killed(writes, *command, "-q", loop) == writes
        again = formatted(loop, filesystem=kind)
        assert (again.steps[:3], again.uuid) == (FORMAT, made.uuid)
        assert "format" not in planned(loop, filesystem=kind)[0].steps


def writes_until_killed(limit: int, *command: str) -> int:
    """Kill a program right after its ``limit``-th write; return how many it had done when it ended."""
    pid = os.fork()
    if not pid:
        # ptrace(2): PTRACE_TRACEME; it stops when it has become the program, and at each system call.
        try:
            ctypes.CDLL(None).ptrace(0, 0, 0, 0)
            os.execvpe(command[0], command, {"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
        finally:
            os._exit(127)
    done = written = 0
    while os.WIFSTOPPED(os.waitpid(pid, 0)[1]):
        now = _bytes_written(pid)
        done, written = done + (now > written), now
        if done >= limit:
            os.kill(pid, signal.SIGKILL)
        else:
            ctypes.CDLL(None).ptrace(24, pid, 0, 0)  # PTRACE_SYSCALL
    return done


def _bytes_written(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def test_a_device_that_is_written_after_it_was_looked_at_is_left_alone(loop: str):
    made, disk = planned(loop)
    with open(loop, "r+b") as device:
        device.seek(10 * MIB)
        device.write(b"precious")
    with pytest.raises(_storage_steps.StorageError, match="somebody wrote on it since"):
        _storage_steps.carry_out(replace(made, steps=FORMAT), disk)
    assert carried(loop) == []
    # The next run must not take it for a file system of ours that was half made.
    with pytest.raises(_storage_plan.RefusalError, match="not blank"):
        planned(loop)


def test_a_device_that_is_claimed_after_it_was_looked_at_is_left_alone(
    loop: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_storage_steps, "PATIENCE", 0.3)
    made, disk = planned(loop)
    with ExitStack() as held:
        descriptor = os.open(loop, os.O_RDONLY | os.O_EXCL)
        held.callback(os.close, descriptor)
        with pytest.raises(_storage_steps.StorageError, match="in use by now: claimed"):
            _storage_steps.carry_out(replace(made, steps=FORMAT), disk)
    assert carried(loop) == []


def test_wiping_leaves_nothing_of_a_partition_table(loop: str):
    run("sgdisk", "--new=1:0:0", loop)
    declared = _storage_plan.Declared(
        "app-volume", path=loop, serial="S1", mount="/srv/drc-test", filesystem="xfs", wipe=True
    )
    known = replace(_disks.by_path(loop), serial="S1")
    made = _storage_plan.plan(declared, _storage_look.look(declared, known, None), "test")
    assert made.steps[:4] == ("note formatting", "wipe", "format", "note formatted")
    _storage_steps.carry_out(replace(made, steps=("note formatting", "wipe")), known)
    assert carried(loop) == []
    assert subprocess.run(["blkid", "--probe", loop], check=False, capture_output=True).returncode == 2


def refused(node: str) -> str:
    with pytest.raises(_storage_plan.RefusalError) as error:
        planned(node)
    return str(error.value)


def test_data_that_nothing_recognises_is_seen(loop: str):
    with open(loop, "r+b") as device:
        device.seek(8 * MIB)
        device.write(b"page of a database")
    assert f"is not blank: nothing is recognised, but there is data at byte {8 * MIB}" in refused(loop)


def handed(node: str, **declared: object) -> _storage_plan.Plan:
    """Do what a run does to a raw device."""
    wanted = _storage_plan.Declared("raw", path=node, **declared)
    disk = _disks.by_path(node)
    seen = _storage_look.look(wanted, disk, _storage_journal.of(_storage_journal.read(), wanted.names))
    made = _storage_plan.plan(wanted, seen, "test")
    _storage_steps.carry_out(made, disk)
    return made


def test_a_raw_device_is_handed_over_blank_and_is_its_apps_from_then_on(loop: str, tmp_path: Path):
    first = handed(loop)
    assert first.steps == ("hand over",)
    with open(loop, "r+b", buffering=0) as device:
        device.seek(8 * MIB)
        device.write(b"page of a database")
        assert handed(loop).steps == ()
        # The host is made anew; the CMDB still knows whose the disk is.
        (tmp_path / "journal/devices.json").unlink()
        with pytest.raises(
            _storage_plan.RefusalError, match=f"data at byte {8 * MIB}; it is not handed over"
        ):
            handed(loop)
        assert handed(loop, uuid=first.uuid).steps == ("hand over",)
        assert handed(loop, uuid=first.uuid).steps == ()


def test_a_raw_device_that_is_written_after_it_was_looked_at_is_not_handed_over(loop: str):
    wanted, disk = _storage_plan.Declared("raw", path=loop), _disks.by_path(loop)
    made = _storage_plan.plan(wanted, _storage_look.look(wanted, disk, None), "test")
    with open(loop, "r+b") as device:
        device.write(b"precious")
    with pytest.raises(_storage_steps.StorageError, match="somebody wrote on it since"):
        _storage_steps.carry_out(made, disk)
    assert _storage_journal.read() == {}


def test_a_loop_device_has_no_serial_to_agree_with(loop: str):
    wanted = _storage_plan.Declared("spare", path=loop, serial="S3Z8NB0K")
    with pytest.raises(_disks.DiskError, match="it has no serial, and the CMDB declares S3Z8NB0K"):
        _storage_look.find([wanted])


def test_a_mount_in_another_namespace_is_seen(loop: str, tmp_path: Path):
    run("mkfs.ext4", "-q", loop)
    point = tmp_path / "point"
    point.mkdir()
    script = f"mount {loop} {point} && echo mounted && exec cat"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "mounted\n"
        assert not os.path.ismount(point)
        assert f"mounted on {point} (mount namespace of process {other.pid})" in refused(loop)
        other.stdin.close()


def test_an_open_handle_is_seen(loop: str):
    with subprocess.Popen(
        ["sh", "-c", f"exec 9<{loop}; echo open; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "open\n"
        assert f"open in process {other.pid} (" in refused(loop)
        other.stdin.close()


def test_active_swap_is_seen(loop: str):
    run("mkswap", loop)
    if subprocess.run(["/usr/sbin/swapon", loop], check=False, capture_output=True).returncode:
        pytest.skip("this machine takes no swap")
    try:
        assert f"active swap ({loop})" in refused(loop)
    finally:
        run("swapoff", loop)


def test_a_device_behind_another_is_seen(loop: str):
    upper = run("losetup", "--find", "--show", loop)
    try:
        assert f"behind {Path(upper).name}" in refused(loop)
    finally:
        run("losetup", "--detach", upper)


def test_of_two_runs_at_once_one_is_turned_away():
    script = (
        "import sys\n"
        "from ansible_collections.dianrong.cloud.plugins.module_utils import _storage_journal as j\n"
        f"j.DIRECTORY = {_storage_journal.DIRECTORY!r}\n"
        "with j.alone(): print('alone', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "alone\n"
        with (
            pytest.raises(_storage_journal.JournalError, match="another run works on"),
            _storage_journal.alone(),
        ):
            pytest.fail("two runs at once")
        other.stdin.close()
    with _storage_journal.alone():
        assert other.returncode == 0


def test_a_journal_that_cannot_be_read_stops_everything(tmp_path: Path):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal/devices.json").write_text("{ torn")
    with pytest.raises(
        _storage_journal.JournalError, match="what is half done on this host's disks is not known"
    ):
        _storage_journal.read()


def test_mounts_of_parts_of_a_directory_are_its_users(tmp_path: Path):
    (tmp_path / "data/inner").mkdir(parents=True)
    (tmp_path / "point").mkdir()
    assert _disk_uses.users_of(str(tmp_path / "data")) == []
    run("mount", "--bind", str(tmp_path / "data/inner"), str(tmp_path / "point"))
    try:
        assert _disk_uses.users_of(str(tmp_path / "data")) == [str(tmp_path / "data/inner")]
    finally:
        run("umount", str(tmp_path / "point"))
