# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a host out of service at every load balancer, or bring it back where it is up to date."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks, _members
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import drained, haproxy, service
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
        given = plain(
            self.arguments(
                state={"type": "str", "required": True, "choices": list(STATES)},
                force={"type": "bool", "default": False},
                wait={"type": "float", "default": 60},
                patience={"type": "float", "default": 0},
                owner={"type": "str"},
                ticket={"type": "str"},
            )
        )
        name, state = str(task_vars["inventory_hostname"]), given["state"]
        store = open_store()
        kept = drained.read(store, name)
        found = _balancers.of_hosts([name], task_vars)
        choice = _choose(store, name, given, kept, sorted(found))
        with self._alone(choice.pools, f"{state} {name}", given["patience"]):
            pools = [_Pool(self, pool, found[pool], name, STATES[state], task_vars) for pool in choice.pools]
            if state == "out" and not given["force"]:
                for pool in pools:
                    pool.require_capacity()
            if not self.check_mode:
                _apply(store, name, given, kept, pools)
        if not self.check_mode:
            for pool in pools:
                if pool.name in choice.awaited:
                    pool.wait(given["wait"])
            if state == "in" and kept is not None and given["owner"] in (None, kept.owner):
                drained.forget(store, name, given["ticket"])
        return {
            "changed": any(pool.changes for pool in pools),
            "pools": choice.pools,
            "behind": choice.behind,
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


class _Choice(t.NamedTuple):
    """The pools that are changed, those that are left as they are with why, and those that are waited for."""

    pools: list[str]
    behind: dict[str, str]
    awaited: t.Collection[str]


def _choose(store: t.Any, name: str, given: dict[str, t.Any], kept: t.Any, found: list[str]) -> _Choice:
    """Choose from the pools that the host is a member of."""
    if given["state"] == "out":
        return _Choice(found, {}, found)
    if given["owner"]:
        mine = kept.pools if kept is not None and kept.owner == given["owner"] else {}
        return _Choice(
            [pool for pool in found if pool in mine], {}, [pool for pool, served in mine.items() if served]
        )
    standing = service.standing(store, name)
    behind = {pool: words for pool, words in standing.items() if words}
    return _Choice([pool for pool in found if pool not in behind], behind, standing)


def _apply(store: t.Any, name: str, given: dict[str, t.Any], kept: t.Any, pools: list[_Pool]) -> None:
    """Tell the load balancers. What an owner is to bring back is kept before, for it may be killed after."""
    if given["state"] == "out" and given["owner"]:
        now = drained.merged(kept, given["owner"], {pool.name: pool.serving for pool in pools})
        drained.keep(store, name, now, given["ticket"])
    for pool in pools:
        pool.apply(_locks.token(store, f"lb:{pool.name}"))


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

    @property
    def serving(self) -> bool | None:
        """Whether the host answers for the pool; None where it is drained."""
        return drained.serving(self._seen, self._servers)

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
