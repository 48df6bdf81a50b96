"""Keep leases alive exactly as long as the controller that took them lives.

Run as ``python -m drcloud.cmdb.heartbeat HOLDER PID SECONDS [give-back]``. It ends with the process it
watches (pid and start time, so that a reused pid does not keep a dead controller's lock) and the workers that
this one leaves behind, and when its leases are gone. Then nobody renews, and the lock is free again within
SECONDS. With ``give-back`` the leases are released at that end.
"""

from __future__ import annotations

import os
import select
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
GIVE_BACK = "give-back"
PARENT_FIELD = 1
START_TIME_FIELD = 19


def start(store: Store, holder: str, pid: int, ttl: timedelta = TTL, *, give_back: bool = False) -> None:
    """Start the heartbeat of a holder beside the process ``pid`` and let it go; it renews for ``ttl``."""
    words = [holder, str(pid), str(ttl.total_seconds()), *([GIVE_BACK] if give_back else [])]
    subprocess.Popen(
        [sys.executable, "-m", "drcloud.cmdb.heartbeat", *words],
        env={**os.environ, "DRCLOUD_CMDB_URL": store.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def started_at(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks, or None when it is gone."""
    fields = _stat(pid)
    return fields[START_TIME_FIELD] if fields else None


def children(pid: int) -> dict[int, str]:
    """Return the children of a process with their start times."""
    found = ((number, _stat(number)) for number in _offspring(pid))
    return {
        number: fields[START_TIME_FIELD]
        for number, fields in found
        if fields and fields[PARENT_FIELD] == str(pid)
    }


def _offspring(pid: int) -> list[int]:
    """Return the processes that may be children: its own list (proc_pid_children(5)), else all there are.

    A look at all processes of a busy machine, twice a second, would cost more than the renewing.
    """
    try:
        lists = [path.read_text(encoding="ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        lists = []
    if lists:
        return [int(number) for number in " ".join(lists).split()]
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return what follows a process's name in its stat (proc_pid_stat(5)); nothing when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[0] == "Z" else fields


def beat(store: Store, holder: str, pid: int, ttl: timedelta = TTL, *, give_back: bool = False) -> None:
    """Renew until the process, its workers or the leases are gone; with ``give_back`` release them then.

    Workers that a killed controller left behind still act on hosts and load balancers, some for longer than a
    lease lasts: nobody else may begin before they have ended.
    """
    birth = started_at(pid)
    alive = {} if birth is None else {pid: birth}
    due = time.monotonic()
    while alive:
        # Workers first: whoever sees the leases renewed can rely on it that these are waited for.
        if pid in alive:
            alive |= children(pid)
            alive.pop(os.getpid(), None)
        if time.monotonic() >= due:
            try:
                leases.renew(store, holder, ttl)
            except LockedError:
                return
            except CmdbError:
                # Busy for a moment: there is time for several more tries before the lease ends.
                pass
            due = time.monotonic() + ttl.total_seconds() / BEATS
        _pause(pid if pid in alive else None)
        alive = {number: seen for number, seen in alive.items() if started_at(number) == seen}
    if give_back:
        leases.release(store, holder)


def _pause(pid: int | None) -> None:
    """Wait a moment, or until a process ends, which is when its leases are given back."""
    try:
        descriptor = os.pidfd_open(pid) if pid else None
    except OSError:
        descriptor = None
    if descriptor is None:
        time.sleep(LOOK)
        return
    try:
        select.select([descriptor], [], [], LOOK)
    finally:
        os.close(descriptor)


def main() -> None:
    """Beat for the holder and the process named on the command line."""
    holder, pid, seconds, *rest = sys.argv[1:]
    beat(Store.open(), holder, int(pid), timedelta(seconds=float(seconds)), give_back=GIVE_BACK in rest)


if __name__ == "__main__":
    main()
