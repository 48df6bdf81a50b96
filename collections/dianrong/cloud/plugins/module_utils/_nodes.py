# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of block devices, and the links that name them."""

from __future__ import annotations

import glob
import os
import stat


def device_paths(root="/dev"):
    """Return the paths of block devices that stay, by device number as ``8:0``; links are followed."""
    found = {}
    for pattern in ("*", "disk/by-id/*", "disk/by-path/*"):
        for path in sorted(glob.glob(os.path.join(root, pattern))):
            try:
                status = os.stat(path)
            except OSError:
                continue
            if stat.S_ISBLK(status.st_mode):
                number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
                found.setdefault(number, []).append(path)
    return found
