# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move hosts to a state in the CMDB, all of them in one transaction."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.cmdb import hosts, lookup
    from drcloud.errors import InvalidInputError
except ImportError:
    hosts = None  # ControllerAction says what is missing.


def plan(current: dict[str, str], wanted: str, only_from: list[str] | None) -> dict[str, str]:
    """Return the hosts that have to move and the state they leave; pure."""
    return {
        name: state
        for name, state in current.items()
        if state != wanted and (not only_from or state in only_from)
    }


class ActionModule(ControllerAction):
    """One call for any number of hosts: one change in the log, not one for each."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.arguments(
            names={"type": "list", "elements": "str", "required": True},
            state={"type": "str", "required": True},
            only_from={"type": "list", "elements": "str"},
            reason={"type": "str", "required": True},
            ticket={"type": "str"},
        )
        store = open_store()
        with store.read() as session:
            current = {name: lookup.host(session, name).state for name in given["names"]}
        moves = plan(current, given["state"], given["only_from"])
        for name, state in moves.items():
            if wrong := hosts.objection(name, state, given["state"]):
                raise InvalidInputError(wrong)
        if moves and not self.check_mode:
            with store.write(reason=given["reason"], ticket=given["ticket"]) as session:
                for name in moves:
                    hosts.transition(session, lookup.host(session, name), given["state"])
        after = dict.fromkeys(moves, given["state"])
        return {"changed": bool(moves), "moved": sorted(moves), "diff": {"before": moves, "after": after}}
