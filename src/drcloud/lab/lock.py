"""One command at a time works on a lab."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drcloud.errors import LockedError
from drcloud.lab.identity import Lab


@contextmanager
def exclusive(lab: Lab) -> Iterator[None]:
    """Hold the lab's lock; the kernel drops it when the holder dies, so it is never stale."""
    path = lab.state.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(lab, path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        if not lab.state.exists():
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(lab: Lab, path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode().strip()
            os.close(descriptor)
            raise LockedError(
                f"process {holder or '?'} works on the lab {lab.id}: wait for it, or end it and try again"
            ) from None
        # Its last holder may have removed the file between our opening and locking it.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)
