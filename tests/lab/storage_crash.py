"""Runs on a lab host, as root: kills a move of data between two steps, and lets the next run go on.

What stands for the engine is a unit that writes a line into its data root whenever it starts, so that every
line that was ever written must be there in the end, whatever was killed and whatever started in between.
Usage: storage_crash.py MODULES CASE... ; prints one line of JSON for each. A case is a step, STEP+boot,
STEP+idle (the engine did not run), or the name of one of CASES.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from ansible_collections.dianrong.cloud.plugins.module_utils import (
    _disk_uses,
    _storage_journal,
    _storage_look,
    _storage_plan,
    _storage_steps,
    _tree,
)

NODE, ROOT, JOURNAL = "/dev/drc-spare", "/srv/drc-crash", "/var/lib/drc-crash"
REAL = f"{ROOT}-real"
ENGINE = Path("/usr/local/lib/systemd/system/drc-crash.service")
UNIT = f"""\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo started >> {ROOT}/ledger'
"""
_storage_plan.ENGINE, _storage_steps.SOCKET = ENGINE.name, "drc-crash.socket"
_storage_journal.DIRECTORY = JOURNAL
DECLARED = _storage_plan.Declared("docker-data", path=NODE, filesystem="xfs", mount=ROOT)
VOLUME = _storage_plan.Declared("app-volume", path=NODE, filesystem="ext4", mount=ROOT)


def system(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True)


def plan(declared: _storage_plan.Declared = DECLARED) -> tuple:
    [disk] = _storage_look.find([declared])
    seen = _storage_look.look(declared, disk, _storage_journal.of(_storage_journal.read(), declared.names))
    return _storage_plan.plan(declared, seen, _storage_look.host_identity()), disk


def refusal(declared: _storage_plan.Declared) -> str:
    try:
        plan(declared)
    except _storage_plan.RefusalError as error:
        return str(error)
    return ""


def attempt(victim: str = "", declared: _storage_plan.Declared = DECLARED) -> int:
    """Run in a process of its own, killed after a step; return how it ended."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        with _storage_journal.alone():
            made, disk = plan(declared)
            _storage_steps.carry_out(
                made,
                disk,
                after=lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == victim else None,
            )
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def clean() -> None:
    """Leave the host as it was: the device blank, nothing mounted, no file of ours."""
    unit = f"{_storage_plan.escape(ROOT)}.mount"
    system("systemctl", "unmask", "--runtime", ENGINE.name)
    system("systemctl", "stop", ENGINE.name, unit)
    system("systemctl", "disable", unit)
    for mount in reversed(_disk_uses.own_mounts()):
        if mount.source == NODE:
            system("umount", mount.point)
    system("chattr", "-i", ROOT)
    for path in (_storage_plan.unit_path(ROOT), str(Path(_storage_plan.drop_in_path()).parent), JOURNAL):
        shutil.rmtree(path) if os.path.isdir(path) else Path(path).unlink(missing_ok=True)
    if os.path.islink(ROOT):
        os.unlink(ROOT)
    for path in (ROOT, REAL, *Path(ROOT).parent.glob(f"{Path(ROOT).name}.before-*")):
        shutil.rmtree(path, ignore_errors=True)
    blank()
    ENGINE.unlink(missing_ok=True)
    system("systemctl", "daemon-reload")


def take_away() -> None:
    """Have the disk away, as after a boot that it missed: nothing is mounted, and no link leads to it."""
    system("systemctl", "stop", ENGINE.name, f"{_storage_plan.escape(ROOT)}.mount")
    for link in Path("/dev/disk/by-uuid").glob("*"):
        if os.path.realpath(link) == NODE:
            link.unlink()


def blank() -> None:
    """Put a blank disk into the place of the one that is there."""
    take_away()
    subprocess.run(["/usr/sbin/blkdiscard", "--force", NODE], check=True, capture_output=True)


def fresh() -> None:
    """Have an engine run on a data root that holds something of every kind; the host is clean."""
    layer = Path(ROOT, "overlay2/layer")
    layer.mkdir(parents=True, mode=0o710)
    (layer / "file").write_bytes(os.urandom(3 << 20))
    os.link(layer / "file", layer / "twin")
    (layer / "link").symlink_to("file")
    os.mknod(layer / "node", 0o600 | 0o020000, os.makedev(1, 3))
    os.setxattr(layer, "trusted.drcloud", b"y")
    os.chown(layer / "file", 10001, 10001)
    ENGINE.parent.mkdir(parents=True, exist_ok=True)
    ENGINE.write_text(UNIT)
    system("systemctl", "daemon-reload")
    system("systemctl", "start", ENGINE.name)


def boot() -> None:
    """Do what a boot does with our units: masks of the run are gone, and the engine starts."""
    system("systemctl", "unmask", "--runtime", ENGINE.name)
    system("systemctl", "stop", ENGINE.name)
    for mount in reversed(_disk_uses.own_mounts()):
        if mount.source == NODE:
            system("umount", mount.point)
    system("systemctl", "daemon-reload")
    system("systemctl", "start", ENGINE.name)


def trial(victim: str, around: str) -> dict:
    """Return how the host stands after a killed run, and after the one that followed."""
    fresh()
    if around == "idle":
        system("systemctl", "stop", ENGINE.name)
    original = Path("/srv/drc-crash-original")
    subprocess.run(["cp", "--archive", ROOT, str(original)], check=True)
    try:
        killed = attempt(victim)
        if around == "boot":
            boot()
        before = _ledger()
        ended = attempt()
        again, _disk = plan()
        differing = [line for line in _tree.differences(str(original), ROOT) if not line.startswith("ledger")]
        return {
            "killed": killed == signal.SIGKILL,
            "ended": ended,
            "mounted": _top(),
            "left to do": list(again.steps),
            "differences": differing,
            "ledger kept": _ledger()[: len(before)] == before and len(before) >= 1,
            "engine": _storage_steps._active(ENGINE.name),
            "masked": _storage_steps._state(ENGINE.name, "LoadState") == "masked",
            "old data kept": Path(_storage_plan.kept_at(ROOT, again.uuid), "overlay2/layer/file").exists(),
            "strays": [m.point for m in _disk_uses.own_mounts() if m.point.startswith(_storage_look.STAGING)],
        }
    finally:
        shutil.rmtree(original)
        clean()


def missing() -> dict:
    """Return what the engine does when its disk is gone."""
    fresh()
    try:
        attempt()
        take_away()
        started = subprocess.run(["systemctl", "start", ENGINE.name], check=False, capture_output=True)
        return {
            "engine": _storage_steps._active(ENGINE.name),
            "started by hand": started.returncode == 0,
            "below": sorted(os.listdir(ROOT)),
        }
    finally:
        clean()


def late() -> dict:
    """Return what becomes of a volume when something writes to its mount point while the disk is away."""
    try:
        attempt(declared=VOLUME)
        take_away()
        stray = Path(ROOT, "ibdata1")
        kept_out = subprocess.run(["touch", str(stray)], check=False, capture_output=True).returncode != 0
        system("chattr", "-i", ROOT)
        stray.touch()
        said, unharmed = refusal(VOLUME), stray.exists()
        stray.unlink()
        ended = attempt(declared=VOLUME)
        return {
            "kept out": kept_out,
            "refused": said,
            "unharmed": unharmed,
            "ended": ended,
            "mounted": _top(),
        }
    finally:
        clean()


def replaced() -> dict:
    """Return what becomes of a new disk when the run dies before systemd has read the unit that names it."""
    try:
        attempt(declared=VOLUME)
        blank()
        killed = attempt("write unit", VOLUME)
        return {"killed": killed == signal.SIGKILL, "ended": attempt(declared=VOLUME), "mounted": _top()}
    finally:
        clean()


def linked() -> dict:
    """Return what is said of a data root that is a symbolic link, with an engine that runs from it."""
    fresh()
    try:
        os.rename(ROOT, REAL)
        os.symlink(REAL, ROOT)
        return {
            "refused": refusal(DECLARED),
            "engine": _storage_steps._active(ENGINE.name),
            "mounted": _top(),
        }
    finally:
        clean()


def _top() -> str | None:
    top = _disk_uses.mounted_at(ROOT, _disk_uses.own_mounts())
    return top.source if top else None


CASES = {"missing disk": missing, "late disk": late, "replaced disk": replaced, "linked data root": linked}


def _ledger() -> list[str]:
    try:
        return Path(ROOT, "ledger").read_text().splitlines()
    except FileNotFoundError:
        return []


if __name__ == "__main__":
    clean()
    for name in sys.argv[2:]:
        step, _plus, around = name.partition("+")
        found = CASES[name]() if name in CASES else trial(step, around)
        print(json.dumps({"step": name, **found}), flush=True)
