# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a host for a roll: pull by digest, check ports, tell what runs. Trouble comes as data."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import observe
    from drcloud.errors import DrcloudError, UnreachableError
except ImportError:
    observe = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """Nothing that runs is touched here."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run the module on the host and record what it saw."""
        given = self.arguments(rollout={"type": "dict", "required": True})
        begun = _roll.begun_of(given["rollout"])
        name = str(task_vars["inventory_hostname"])
        try:
            seen = _roll.Host(self, begun, name, task_vars).prepare()
        except UnreachableError as error:
            return _troubled(error, lost=True)
        except DrcloudError as error:
            return _troubled(error, lost=False)
        if not self.check_mode:
            observe.record(open_store(), name, seen["instances"], "deploy")
        return {"trouble": "", "kind": "", "lost": False, **seen}


def _troubled(error: Exception, *, lost: bool) -> dict[str, t.Any]:
    """Return trouble as data, with whose it is."""
    kind = str(getattr(error, "kind", "host"))
    return {"trouble": str(error), "kind": kind, "lost": lost, "instances": []}
