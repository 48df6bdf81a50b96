# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of app_prune: ask the ledger what a host keeps, let the host's module remove the rest."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _locks
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import plain
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import leases
    from drcloud.delivery import observe, retention
    from drcloud.errors import InvalidInputError
except ImportError:
    leases = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """The ledger is asked while no roll can be on the host, and the host acts before one can."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Lock, ask, run the module, record what is left."""
        given = self.arguments(
            retain={"type": "int", "default": 2},
            socket={"type": "path", "default": "/var/run/docker.sock"},
        )
        if given["retain"] < 1:
            raise InvalidInputError("retain: at least the one stable revision is kept, so say 1 or more")
        store = open_store()
        host = str(task_vars["inventory_hostname"])
        if self.check_mode:
            return self._run(retention.read(store, host, given["retain"]), given, 0, task_vars)
        name = f"host:{host}"
        with _locks.alone(store, name, "prune"):
            token = max(lease.token for lease in leases.held(store) if lease.name == name)
            result = self._run(retention.read(store, host, given["retain"]), given, token, task_vars)
            if not result.get("failed") and not result.get("unreachable"):
                observe.record(store, host, plain(result["instances"]), "prune")
        return result

    def _run(
        self, keeping: t.Any, given: dict[str, t.Any], token: int, task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        arguments = {**given, **keeping.as_document(), "token": token}
        return self._execute_module(
            module_name="dianrong.cloud.app_prune", module_args=arguments, task_vars=task_vars
        )
