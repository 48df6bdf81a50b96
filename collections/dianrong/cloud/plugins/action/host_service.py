# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a host out of service at every load balancer, or bring it back where it is up to date."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks, _members
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import haproxy, service
    from drcloud.errors import LockedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.

# Seconds between two tries for a lock.
LOOK = 0.5
STATES = {"out": "drain", "in": "ready"}


class ActionModule(ControllerAction):
    """All pools of the host in one call: every one of them is asked before any is changed."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, ask for capacity, apply, read back, wait."""
        given = self.arguments(
            state={"type": "str", "required": True, "choices": list(STATES)},
            force={"type": "bool", "default": False},
            wait={"type": "float", "default": 60},
            patience={"type": "float", "default": 0},
        )
        name, state = str(task_vars["inventory_hostname"]), str(given["state"])
        standing = service.standing(open_store(), name)
        behind = {pool: words for pool, words in standing.items() if words} if state == "in" else {}
        found = _balancers.of_host(name, task_vars)
        chosen = sorted(set(found) - set(behind))
        with self._alone(chosen, f"{state} {name}", given["patience"]):
            pools = [_Pool(self, pool, found[pool], name, STATES[state], task_vars) for pool in chosen]
            if state == "out" and not given["force"]:
                for pool in pools:
                    pool.require_capacity()
            if not self.check_mode:
                for pool in pools:
                    pool.apply(_locks.token(open_store(), f"lb:{pool.name}"))
        for pool in pools:
            if not self.check_mode and (state == "out" or pool.name in standing):
                pool.wait(given["wait"])
        return {
            "changed": any(pool.changes for pool in pools),
            "pools": chosen,
            "behind": behind,
            "diff": [pool.diff() for pool in pools if pool.changes],
        }

    @contextlib.contextmanager
    def _alone(self, pools: t.Sequence[str], purpose: str, patience: float) -> t.Iterator[None]:
        """Keep rolls, and others who count on the same pools, out until this is done."""
        end = time.monotonic() + patience
        with contextlib.ExitStack() as held:
            for pool in () if self.check_mode else pools:
                held.enter_context(_taken(f"lb:{pool}", purpose, end))
            yield


def _taken(name: str, purpose: str, end: float) -> t.ContextManager[None]:
    """Return a lock that is held, tried until a moment; LockedError says who has it then."""
    while True:
        with contextlib.ExitStack() as trial:
            try:
                trial.enter_context(_locks.alone(open_store(), name, purpose))
            except LockedError:
                if time.monotonic() >= end:
                    raise
            else:
                return trial.pop_all()
        time.sleep(LOOK)


class _Pool:
    """One pool of the host."""

    def __init__(
        self,
        action: t.Any,
        name: str,
        known: t.Mapping[str, t.Any],
        host: str,
        state: str,
        task_vars: t.Mapping[str, t.Any],
    ) -> None:
        self.name = name
        self._known = known
        self._host = host
        self._state = state
        self._servers = [haproxy.server_name(host, slot) for slot in _members.SLOTS]
        self._balancers = _balancers.connect(action, name, list(known), task_vars)
        self._seen = self._balancers.pools()
        self.before = _members.states(self._seen, self._servers)
        self.after = {lb: dict.fromkeys(self._servers, state) for lb in self.before}

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def diff(self) -> dict[str, t.Any]:
        """Return what changes, by load balancer and server."""
        return {
            "before_header": self.name,
            "after_header": self.name,
            "before": self.before,
            "after": self.after,
        }

    def require_capacity(self) -> None:
        if self.changes:
            needed = _members.needed(None, self._known)
            _members.require_capacity(self._seen, self._host, self._servers, needed)

    def apply(self, token: int) -> None:
        if self.changes:
            held = self._balancers.under(token)
            self._seen = _members.applied(held, self.name, self._servers, self.before, self.after)

    def wait(self, seconds: float) -> None:
        _members.waited(self._balancers, self._seen, self._servers, self._state, seconds)
