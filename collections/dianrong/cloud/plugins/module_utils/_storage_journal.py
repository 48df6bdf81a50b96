# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host was doing, or has done, to its block devices: a journal that survives any crash."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import tempfile
from pathlib import Path

from ansible_collections.dianrong.cloud.plugins.module_utils._storage_plan import Record

DIRECTORY = "/var/lib/drcloud/storage"


class JournalError(Exception):
    """The journal cannot be read, or another run holds it; the message says what helps."""


def read():
    """Return the records by the devices' keys."""
    path = Path(DIRECTORY, "devices.json")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {key: Record(**row) for key, row in rows.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise JournalError(
            f"{path} cannot be read ({error}); what is half done on this host's disks is not known: look at "
            "them, record the UUIDs of our file systems in the CMDB, and remove the file"
        ) from error


def of(records, names):
    """Return the record of a device by its names: those of today, or those it was declared by before."""
    return next((records[name] for name in names if name in records), None)


def write(names, record):
    """Put a device's one record down, so that it is there after a power cut too; None takes it away.

    It stands under the first of the names: a record under another one would tell of a past that is over.
    """
    records = {name: one for name, one in read().items() if name not in names}
    if record is not None:
        records[names[0]] = record
    rows = {name: dataclasses.asdict(one) for name, one in sorted(records.items())}
    put(Path(DIRECTORY, "devices.json"), json.dumps(rows, indent=1) + "\n", mode=0o600)


def put(path, text, mode=0o644):
    """Write a file at once or not at all, durable when it returns."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".drcloud-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            os.fchmod(handle.fileno(), mode)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextlib.contextmanager
def alone():
    """Keep every other run off this host's disks; it ends with the process, however that ends."""
    with _lock_file() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(
                "another run works on this host's block devices; run again when it has ended"
            ) from error
        yield


def _lock_file():
    try:
        Path(DIRECTORY).mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(DIRECTORY, "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"no journal can be kept in {DIRECTORY}: {error}; nothing was touched") from error
