"""The hosts' raw disks: sparse files behind loop devices."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from drcloud.errors import DrcloudError


def attached(directory: Path) -> dict[Path, str]:
    """Return backing file -> loop device for the files of a directory, deleted ones included."""
    listing = _run("losetup", "--list", "--json", "--output", "NAME,BACK-FILE")
    devices = json.loads(listing or '{"loopdevices": []}')["loopdevices"]
    files = {Path(entry["back-file"].removesuffix(" (deleted)")): str(entry["name"]) for entry in devices}
    return {path: name for path, name in files.items() if path.is_relative_to(directory)}


def ensure(directory: Path, names: list[str], size: int) -> tuple[dict[str, str], bool]:
    """Attach one sparse file of ``size`` bytes per name; return name -> device, and whether that changed."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    present = attached(directory)
    changed = False
    for name in names:
        path = directory / f"{name}.img"
        if not path.exists():
            with path.open("wb") as handle:
                handle.truncate(size)
        if path not in present:
            present[path] = _run("losetup", "--find", "--show", str(path)).strip()
            changed = True
    return {name: present[directory / f"{name}.img"] for name in names}, changed


def detach(directory: Path) -> bool:
    """Detach every loop device whose file lies, or lay, in a directory."""
    devices = attached(directory).values()
    for device in devices:
        _run("losetup", "--detach", device)
    return bool(devices)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise DrcloudError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
