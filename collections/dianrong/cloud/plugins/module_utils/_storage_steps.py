# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry out the plan for one block device, step by step; after a crash between any two the next run goes on.

From the first byte that is written, the journal says which device gets the file system of which UUID. Data
that is moved counts where it was until the mount unit is written: that one rename moves the truth.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import time

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _signatures,
    _storage_journal,
    _storage_look,
    _storage_plan,
    _tree,
)

SOCKET = "docker.socket"
SHOWN = 3
# Seconds in which a passer-by such as udev lets go of a device.
PATIENCE = 5.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ZEROS = bytes(1 << 20)
# ioctl(2) that has the kernel read the partition table again (linux/fs.h).
BLKRRPART = 0x125F


class StorageError(Exception):
    """A step failed; the message says what is where now."""


def run(*command):
    """Run a program and return its output; its words make the error."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise StorageError(f"{command[0]} is not installed on this host") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-600:]
        raise StorageError(f"{command[0]} failed: {words or done.returncode}")
    return done.stdout


def carry_out(plan, disk, after=lambda step: None):
    """Take the steps of a plan; ``after`` is called with the name of each one that is done."""
    work = Work(plan, disk)
    with contextlib.closing(work):
        for step in plan.steps:
            try:
                work.take(step)
            except (OSError, StorageError) as error:
                raise StorageError(f"{plan.declared.label}: {step}: {error}{work.retreat()}") from error
            after(step)


class Work:
    """The steps on one device; each may have been done in part, or whole, by a run that died."""

    def __init__(self, plan, disk):
        self.plan = plan
        self.disk = disk
        self.declared = plan.declared
        self.node = plan.seen.node
        self.point = plan.declared.mount
        self.staging = f"{_storage_look.STAGING}/{plan.uuid}"
        record = _storage_plan.known(plan.seen.record, plan.declared, plan.seen)
        self.engine = record.engine if record else False
        self.socket = record.socket if record else False
        self.generation = plan.seen.record.generation if plan.seen.record else 0
        self.lock = None

    def close(self):
        """Let go of the device."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def _hold(self):
        """Hold the lock that keeps udev and other tools off (systemd, "Locking Block Device Access")."""
        if self.lock is None:
            self.lock = os.open(self.node, os.O_RDONLY | os.O_CLOEXEC)
            if _patiently(lambda: _taken(self.lock)):
                raise StorageError("another program holds its lock")

    def take(self, step):
        """Take one step by its name."""
        if step.startswith("note "):
            self._note(step[len("note ") :])
        else:
            getattr(self, step.replace(" ", "_"))()

    def _note(self, state):
        if state == "formatting":
            self.generation += 1
        elif state == "moving":
            # A crash later leaves the engine stopped: the next run has to know that it ran.
            self.engine = self.engine or _active(_storage_plan.ENGINE)
            self.socket = self.socket or _active(SOCKET)
        elif state == "ready":
            self.engine = self.socket = False
        self._write(state)

    def _write(self, state):
        seen, plan = self.plan.seen, self.plan
        _storage_journal.write(
            self.declared.names,
            _storage_plan.Record(
                plan.uuid,
                plan.filesystem,
                state,
                seen.size,
                seen.serial,
                seen.wwn,
                self.generation,
                self.engine,
                self.socket,
            ),
        )

    def hand_over(self):
        """Put down that a raw device belongs to its app from now on, after a last look at a new one."""
        if not _storage_plan.handed_over(self.declared, self.plan.seen):
            self._look_again()
        self._write("handed over")

    def wipe(self):
        """Overwrite all places where a signature may stand, and both ends of the device."""
        self._hold()
        size = self.plan.seen.size
        with _exclusive(self.node) as descriptor:
            places = [(at, length) for at, length in _signatures.regions(size) if length > _signatures.SAMPLE]
            places += [(one.offset // 4096 * 4096, 8192) for one in self.plan.seen.signatures]
            for offset, length in places:
                os.pwrite(descriptor, ZEROS[: max(0, min(length, size - offset))], offset)
            os.fsync(descriptor)
            # A device that cannot have partitions does not know the question.
            with contextlib.suppress(OSError):
                fcntl.ioctl(descriptor, BLKRRPART)

    def format(self):
        """Make the file system, after a last look while nobody else can claim the device."""
        try:
            self._hold()
            self._look_again()
        except (OSError, StorageError):
            # Nothing of ours was written: with a journal that says otherwise, the next run would take for a
            # half-made file system of ours what somebody else put there.
            _storage_journal.write(self.declared.names, self.plan.seen.record)
            raise
        seen = self.plan.seen
        again = bool(seen.signatures or seen.stain is not None or "wipe" in self.plan.steps)
        kind, number = self.plan.filesystem, self.plan.uuid
        command = {
            "xfs": ["mkfs.xfs", "-q", *(["-f"] if again else []), "-m", f"uuid={number}", "-n", "ftype=1"],
            "ext4": ["mkfs.ext4", "-q", *(["-F"] if again else []), "-U", number],
        }[kind]
        # mkfs claims the device itself (O_EXCL), so nothing can be mounted between here and its end.
        run(*command, self.node)
        with _storage_look.reader(self.node) as read:
            found = _signatures.file_system(read)
        if found is None or (found.name, found.uuid) != (kind, number):
            raise StorageError(f"{command[0]} ended, but the device carries {found}")
        # udev looks at the new file system only when the lock is gone.
        self.close()

    def _look_again(self):
        """Refuse a device that is no longer what the plan was made for."""
        seen = self.plan.seen
        # udev may just be having a look, at what a wipe wrote for one.
        users = _patiently(lambda: _disk_uses.uses(self.disk, self.node))
        if users:
            raise StorageError(f"in use by now: {'; '.join(users)}")
        if "wipe" in self.plan.steps:
            return
        with _storage_look.reader(self.node, claim=True) as read:
            found = tuple(_signatures.signatures(read, seen.size))
            if found != seen.signatures or _signatures.stain(read, seen.size) != seen.stain:
                raise StorageError("somebody wrote on it since it was looked at")

    def stop_engine(self):
        """Stop the engine, and keep it stopped until we start it or the host boots."""
        if units := _engine_units():
            run("systemctl", "mask", "--runtime", "--quiet", *units)
            run("systemctl", "stop", *units)
        users = _disk_uses.users_of(self.point)
        if users:
            raise StorageError(f"{self.point} is still in use: {', '.join(users[:SHOWN])}")

    def stage(self):
        """Mount the new file system aside, and empty it: it holds at most a copy that was cut short."""
        self.unstage()
        os.makedirs(self.staging, mode=0o700, exist_ok=True)
        run("mount", "-t", self.plan.filesystem, self.node, self.staging)
        if os.stat(self.staging).st_dev == os.stat(os.path.dirname(self.staging)).st_dev:
            raise StorageError(f"{self.staging} did not become a mount")
        for entry in os.scandir(self.staging):
            if entry.name in _tree.OWN:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)

    def copy(self):
        """Copy everything, with owners, links, holes, device nodes and extended attributes."""
        run("cp", "--archive", "--one-file-system", "--sparse=auto", f"{self.point}/.", self.staging)
        os.sync()

    def verify(self):
        """Compare the copy with the original, byte for byte; nothing may have written meanwhile."""
        if _active(_storage_plan.ENGINE):
            raise StorageError("the engine was started while its data was copied")
        found = list(itertools.islice(_tree.differences(self.point, self.staging), SHOWN))
        if found:
            raise StorageError(f"the copy is not the original: {'; '.join(found)}")

    def require_mount(self):
        """Keep the engine from starting without its disk. Means nothing before the mount unit is there."""
        _storage_journal.put(_storage_plan.drop_in_path(), _storage_plan.drop_in_text(self.point))

    def write_unit(self):
        """Write the mount unit: from here on, the device is where the data is."""
        _storage_journal.put(_storage_plan.unit_path(self.point), _storage_plan.unit_text(self.plan))

    def enable_unit(self):
        """Let systemd know, now and at boot."""
        run("systemctl", "daemon-reload")
        run("systemctl", "enable", "--quiet", self._unit())

    def _unit(self):
        return f"{_storage_plan.escape(self.point)}.mount"

    def mount(self):
        """Mount the file system where it belongs, and see that it is there."""
        os.makedirs(self.point, mode=0o700, exist_ok=True)
        if self.declared.purpose == "app-volume" and not os.path.ismount(self.point):
            self._seal()
        if "enable unit" not in self.plan.steps:
            # The unit may be from a run that died before systemd knew, and name a disk that was replaced.
            run("systemctl", "daemon-reload")
        _link_by_uuid(self.plan.uuid, self.node)
        run("systemctl", "start", self._unit())
        top = _disk_uses.mounted_at(self.point, _disk_uses.own_mounts())
        if top is None or top.numbers != self.disk.numbers:
            raise StorageError(f"{self._unit()} started, but {self.point} is not this device")

    def _seal(self):
        """Keep the directory below a volume empty: who writes there while the disk is away gets an error."""
        # Not every file system knows the attribute.
        with contextlib.suppress(StorageError):
            run("chattr", "+i", self.point)
        if os.listdir(self.point):
            with contextlib.suppress(StorageError):
                run("chattr", "-i", self.point)
            raise StorageError(
                f"{self.point} got entries by now that the volume would hide; move them away first"
            )

    def set_aside(self):
        """Move what lies hidden below the mount to a directory beside it, by a view without the mount."""
        parent, name = os.path.split(self.point)
        view = f"{self.staging}-below"
        self._close(view)
        os.makedirs(view, mode=0o700, exist_ok=True)
        run("mount", "--bind", parent, view)
        try:
            old, kept = (
                os.path.join(view, name),
                _storage_plan.kept_at(os.path.join(view, name), self.plan.uuid),
            )
            hidden = sorted(os.listdir(old))
            if hidden and not os.path.isdir(kept):
                os.mkdir(kept, 0o700)
            for entry in hidden:
                os.rename(os.path.join(old, entry), os.path.join(kept, entry))
        finally:
            self._close(view)

    def unstage(self):
        """Unmount the copy."""
        self._close(self.staging)

    def _close(self, point):
        if any(mount.point == point for mount in _disk_uses.own_mounts()):
            run("umount", point)
        if os.path.isdir(point):
            os.rmdir(point)

    def own(self):
        """Give the root of the volume to its app."""
        declared = self.declared
        if declared.owner is not None or declared.group is not None:
            shutil.chown(self.point, _account(declared.owner), _account(declared.group))
        if declared.mode is not None:
            os.chmod(self.point, int(declared.mode, 8))

    def start_engine(self):
        """Let the engine run again, and its socket listen, if they did before the data was moved."""
        if units := _engine_units():
            run("systemctl", "unmask", "--runtime", "--quiet", *units)
        started = (SOCKET,) * self.socket + (_storage_plan.ENGINE,) * self.engine
        if started:
            run("systemctl", "start", *started)

    def retreat(self):
        """Undo what a failed move did to the host while the old data still counts; return how it stands."""
        if "stop engine" not in self.plan.steps or os.path.exists(_storage_plan.unit_path(self.point)):
            return "; run again to go on"
        try:
            self.unstage()
            self.start_engine()
        except (OSError, StorageError) as error:
            return (
                f"; nothing of {self.point} was changed, but the engine could not be started again: {error}"
            )
        return f"; nothing of {self.point} was changed, and the engine is as it was before"


def retire_engine():
    """Stop the engine, and have it not start again: its data goes."""
    if units := _engine_units():
        run("systemctl", "disable", "--now", "--quiet", *units)


def retire_mount(point):
    """Unmount a device and take its mount unit away; a second time there is nothing to do."""
    unit = f"{_storage_plan.escape(point)}.mount"
    if os.path.ismount(point):
        run("systemctl", "stop", unit)
    path = _storage_plan.unit_path(point)
    if os.path.exists(path):
        run("systemctl", "disable", "--quiet", unit)
        os.unlink(path)
        run("systemctl", "daemon-reload")


def _patiently(look):
    """Return what ``look`` finds: nothing as soon as there is nothing, else what it found last."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _taken(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _account(name):
    return int(name) if name is not None and name.isdigit() else name


@contextlib.contextmanager
def _exclusive(node):
    descriptor = os.open(node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _link_by_uuid(number, node):
    """Have udev's link to a new file system; where no udev runs (a host that is a container), make it."""
    link = f"/dev/disk/by-uuid/{number}"
    if os.path.exists("/run/udev/control"):
        run("udevadm", "trigger", "--action=change", "--settle", os.path.realpath(node))
    if not os.path.exists(link):
        os.makedirs(os.path.dirname(link), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink(os.path.realpath(node), link)


def _active(unit):
    return _state(unit, "ActiveState") in ("active", "activating", "reloading", "deactivating")


def _engine_units():
    """Return the engine's socket and service, as far as this host has them."""
    units = (SOCKET, _storage_plan.ENGINE)
    return [unit for unit in units if _state(unit, "LoadState") not in ("not-found", "")]


def _state(unit, name):
    return run("systemctl", "show", unit, f"--property={name}", "--value").strip()
