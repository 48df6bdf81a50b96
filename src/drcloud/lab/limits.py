"""Limits of the kernel that ten machines in one reach, raised for as long as this machine runs."""

from __future__ import annotations

from pathlib import Path

# Each systemd and each engine holds some inotify instances; past the limit a host hangs while it boots.
MINIMA = {
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 524288,
}


def ensure(root: Path = Path("/proc/sys")) -> bool:
    """Raise what is lower than a lab needs and lower nothing; return whether anything changed."""
    changed = False
    for name, minimum in MINIMA.items():
        path = root / name
        if int(path.read_text()) < minimum:
            path.write_text(f"{minimum}\n")
            changed = True
    return changed
