# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold locks for as long as this ansible-playbook runs."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _locks
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import actor, heartbeat, leases
except ImportError:
    leases = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Take the locks, and leave a heartbeat that gives them back when the playbook ends, however it ends."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Take all or none; in check mode none."""
        given = plain(
            self.arguments(
                locks={"type": "list", "elements": "str", "required": True},
                exclusive={"type": "bool", "default": True},
                purpose={"type": "str", "required": True},
            )
        )
        holder = _locks.holder()
        if self.check_mode or not given["locks"]:
            return {"holder": holder, "tokens": {}}
        store = open_store()
        tokens = leases.acquire(
            store,
            [(name, given["exclusive"]) for name in given["locks"]],
            holder=holder,
            purpose=f"{given['purpose']} by {actor.current()}",
            ttl=heartbeat.TTL,
        )
        heartbeat.start(store, holder, os.getppid(), give_back=True)
        return {"holder": holder, "tokens": tokens}
