"""Keep a roll's leases alive exactly as long as its controller lives.

Run as ``python -m drcloud.delivery.heartbeat HOLDER PID SECONDS``. It ends with the process it watches (pid
and start time, so that a reused pid does not keep a dead roll's lock), and when its leases are gone. After
a killed controller nobody renews, and the lock is free again within SECONDS (``TTL`` in a roll).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, LockedError

TTL = timedelta(seconds=30)
# Six beats in a lease's time: one that fails, or waits for a busy CMDB, does not lose it.
BEATS = 6
LOOK = 0.5
START_TIME_FIELD = 19


def start(store: Store, holder: str, pid: int, ttl: timedelta = TTL) -> None:
    """Start the heartbeat of a holder beside the process ``pid`` and let it go; it renews for ``ttl``."""
    subprocess.Popen(
        [sys.executable, "-m", "drcloud.delivery.heartbeat", holder, str(pid), str(ttl.total_seconds())],
        env={**os.environ, "DRCLOUD_CMDB_URL": store.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def started_at(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks, or None when it is gone."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[START_TIME_FIELD]


def beat(store: Store, holder: str, pid: int, ttl: timedelta = TTL) -> None:
    """Renew until the process or the leases are gone."""
    birth = started_at(pid)
    due = time.monotonic()
    while birth is not None and started_at(pid) == birth:
        if time.monotonic() >= due:
            try:
                leases.renew(store, holder, ttl)
            except LockedError:
                return
            except CmdbError:
                # Busy for a moment: there is time for several more tries before the lease ends.
                pass
            due = time.monotonic() + ttl.total_seconds() / BEATS
        time.sleep(LOOK)


def main() -> None:
    """Beat for the holder and the process named on the command line."""
    holder, pid, seconds = sys.argv[1:]
    beat(Store.open(), holder, int(pid), timedelta(seconds=float(seconds)))


if __name__ == "__main__":
    main()
