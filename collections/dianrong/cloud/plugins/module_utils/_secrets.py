# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets of instances on a host: files that a container mounts, in a directory of its own.

They outlive a restart of the host, for the engine starts containers again by itself. Nobody but root comes
through the directory above them; in the container, where only the app is, whatever user it runs as may read
them.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil

DIRECTORY = "/var/lib/drcloud/secrets"
# Where a container finds them.
INSIDE = "/run/secrets"
HIDDEN = "********"


class SecretsError(Exception):
    """A secret did not come as it should; the message never shows its value."""


def decoded(values):
    """Return secrets that came as base64, as bytes by name."""
    found = {}
    for name, text in sorted((values or {}).items()):
        try:
            found[name] = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):
            raise SecretsError(f"secret {name} is to be given as base64") from None
        if not name or name in {".", ".."} or "/" in name:
            raise SecretsError(f"secret {name!r} is no name of a file")
    return found


def directory(container, root=DIRECTORY):
    """Return where the secrets of a container are."""
    return os.path.join(root, container)


def write(container, values, root=DIRECTORY):
    """Write the secrets of a container, completely and to the disk; return where they are."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    os.chmod(root, 0o700)
    place = directory(container, root)
    remove(container, root)
    os.mkdir(place)
    os.chmod(place, 0o755)  # noqa: S103 - on the host nobody comes here: the directory above is 0700
    for name, content in values.items():
        _write_file(os.path.join(place, name), content)
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return place


def _write_file(path, content):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), 0o444)
        file.flush()
        os.fsync(file.fileno())


def remove(container, root=DIRECTORY):
    """Remove the secrets of a container; none is as good."""
    shutil.rmtree(directory(container, root), ignore_errors=True)


def strays(beginning, known, root=DIRECTORY):
    """Return the names of containers that left secrets and are gone, of those that begin like this."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    return sorted(name for name in names if name.startswith(beginning) and name not in known)


def hidden(lines, values):
    """Return lines without the secrets that an app may have written into them."""
    texts = {content.decode("utf-8", "replace") for content in values if content}
    # A secret of several lines never stands in one.
    parts = {part for text in texts for part in text.splitlines() if part.strip()}
    for part in sorted(parts, key=len, reverse=True):
        lines = [line.replace(part, HIDDEN) for line in lines]
    return lines
