# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect evidence of a host, knock at its doors, judge it and record what was found."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store
from ansible_collections.dianrong.cloud.plugins.plugin_utils._probe import knock, targets

try:
    from drcloud.compliance.audit import audit
except ImportError:
    audit = None  # ControllerAction says what is missing.


class ActionModule(ControllerAction):
    """One host. That it cannot be reached or read is a result like others: the verdict needs all hosts."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Collect, knock, judge, record."""
        options = self.arguments(
            socket={"type": "path", "default": "/var/run/docker.sock"},
            probe_timeout={"type": "float", "default": 3.0},
        )
        evidence, reason = self._collect(options["socket"], task_vars)
        host = task_vars["inventory_hostname"]
        address = task_vars.get("ansible_host") or host
        outcome = audit(
            host,
            task_vars.get("dr_role") or "",
            evidence,
            probes=knock(targets(evidence, address), options["probe_timeout"]),
            reason=reason,
            store=None if self.check_mode else open_store(),
        )
        return {"changed": False, "outcome": outcome.model_dump(mode="json")}

    def _collect(self, socket: str, task_vars: dict[str, t.Any]) -> tuple[dict[str, t.Any] | None, str]:
        try:
            result = self._execute_module(
                module_name="dianrong.cloud.compliance_evidence",
                module_args={"socket": socket},
                task_vars=task_vars,
            )
        except AnsibleConnectionFailure as error:
            return None, one_line(str(error))
        if result.get("failed") or result.get("unreachable") or "evidence" not in result:
            return None, one_line(str(result.get("msg") or "the module gave no evidence"))
        return result["evidence"], ""


def one_line(text: str) -> str:
    """Return the end of a message as one line; SSH says last what was in the way."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:])[-500:]
