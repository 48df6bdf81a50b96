# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fence: a host obeys the newest roll of an app only, whatever an orphaned module still wants.

A lease of the CMDB carries a token that only grows. The host keeps the highest token it has seen per
app and environment; a module that comes with an older one is refused. The file lock makes one change
at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

DIRECTORY = "/var/lib/drcloud/fence"


class FencedError(Exception):
    """A newer roll was here: this one must not act any more."""


@contextlib.contextmanager
def held(subject, token, directory=DIRECTORY, dry=False):
    """Hold the fence of a subject while the block acts; FencedError where a newer token was here.

    Token 0 stands for a person who acts by hand, under no lease: that is one at a time, and never refused.
    With C(dry) nothing is written and nothing is locked: for check mode.
    """
    path = os.path.join(directory, subject)
    if dry:
        _refuse(subject, token, _read(path))
        yield
        return
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        seen = _number(file)
        _refuse(subject, token, seen)
        if token > seen:
            file.truncate(0)
            file.write(f"{token}\n".encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        yield


def _refuse(subject, token, seen):
    if 0 < token < seen:
        raise FencedError(
            f"{subject}: a newer roll (token {seen}) was here, this one (token {token}) must not act any more"
        )


def _read(path):
    try:
        with open(path, "rb") as file:
            return _number(file)
    except FileNotFoundError:
        return 0


def _number(file):
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdigit() else 0
