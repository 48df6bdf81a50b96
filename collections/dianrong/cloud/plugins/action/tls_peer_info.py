# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller half of tls_peer_info: read the CA here, look from there."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction

try:
    from drcloud import secrets
except ImportError:
    secrets = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Resolve ``ca``; the host checks all other arguments."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Resolve and look."""
        arguments = dict(self._task.args)
        if arguments.get("ca"):
            arguments["ca"] = secrets.resolve(arguments["ca"])
        return self._execute_module(
            module_name="dianrong.cloud.tls_peer_info", module_args=arguments, task_vars=task_vars
        )
