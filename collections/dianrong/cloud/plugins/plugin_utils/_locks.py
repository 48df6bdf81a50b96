# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the locks of an ansible-playbook, and a lock for the time of one task."""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t
import uuid
from datetime import timedelta

try:
    from drcloud.cmdb import actor, heartbeat, leases
except ImportError:
    leases = None  # ControllerAction says what is missing.

RUN = "DRCLOUD_RUN_ID"
# Nobody renews it: it is for seconds, and a task that is killed lets go of it after this.
TTL = timedelta(minutes=2)


def holder() -> str:
    """Return the same for all tasks of one ansible-playbook, so that the second joins the first."""
    # The worker ends with its task; its parent is ansible-playbook.
    controller = os.getppid()
    return os.environ.get(RUN) or f"{socket.gethostname()}/{controller}/{heartbeat.started_at(controller)}"


def token(store: t.Any, name: str) -> int:
    """Return the fencing token of a lock that is held."""
    return max(lease.token for lease in leases.held(store) if lease.name == name)


@contextlib.contextmanager
def alone(store: t.Any, name: str, purpose: str, beside: t.Sequence[str] = ()) -> t.Iterator[None]:
    """Hold a lock alone, and those ``beside`` it with others; what this ansible-playbook holds is enough."""
    mine = holder()
    own = {lease.name for lease in leases.held(store) if lease.holder == mine}
    if name in own:
        yield
        return
    # A holder of its own, for giving back is for all locks of a holder.
    task = f"{mine}/{uuid.uuid4().hex[:8]}"
    names = [(name, True), *((other, False) for other in beside if other not in own)]
    leases.acquire(store, names, holder=task, purpose=f"{purpose} by {actor.current()}", ttl=TTL)
    try:
        yield
    finally:
        leases.release(store, task)
