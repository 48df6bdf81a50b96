# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up all hosts of a compliance run, write the reports, and fail where something is wrong or unseen."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, failure

try:
    from drcloud.compliance import junit
    from drcloud.compliance.outcome import HostOutcome, Report
    from drcloud.exitcodes import ExitCode, most_serious
except ImportError:
    junit = None  # ControllerAction says what is missing.

THRESHOLDS = ["low", "medium", "high", "critical"]
NOT_EXPECTED = ("planned", "retired")


class ActionModule(ControllerAction):
    """The end of the run; it looks at what every host of the play registered."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Sum up, write, decide."""
        options = self.arguments(
            register={"type": "str", "default": "compliance_check"},
            threshold={"type": "str", "choices": THRESHOLDS, "default": "high"},
            junit={"type": "path"},
            report={"type": "path"},
        )
        registered = {
            name: task_vars["hostvars"][name].get(options["register"])
            for name in sorted(task_vars["ansible_play_hosts_all"])
        }
        report = self._sum_up(options["threshold"], registered, task_vars)
        for path, text in ((options["junit"], junit.render(report)), (options["report"], as_json(report))):
            if path:
                write(Path(path), text)
        code = most_serious([report.exit_code, *map(own_code, registered.values())])
        if code == ExitCode.OK:
            return {"changed": False, "msg": report.sentence}
        return failure(report.sentence, code)

    def _sum_up(self, threshold: str, registered: dict[str, t.Any], task_vars: dict[str, t.Any]) -> Report:
        hosts, not_expected = [], {}
        for name, found in registered.items():
            state = task_vars["hostvars"][name].get("dr_state", "active")
            if state in NOT_EXPECTED:
                not_expected[name] = f"its state is {state}"
            else:
                hosts.append(outcome(name, found))
        return Report(threshold=threshold, hosts=tuple(hosts), not_expected=not_expected)


def outcome(name: str, registered: t.Any) -> HostOutcome:
    """Return what a host registered; whatever else stands there means that it was not seen."""
    found = registered if isinstance(registered, dict) else {}
    if "outcome" in found:
        return HostOutcome.model_validate(found["outcome"])
    return HostOutcome(host=name, seen=False, reason=str(found.get("msg") or "it was never asked"))


def own_code(registered: t.Any) -> ExitCode:
    """Return the code of an error of the controller, as a CMDB that cannot be written."""
    found = registered.get("dr_exit_code") if isinstance(registered, dict) else None
    return ExitCode(found) if found is not None else ExitCode.OK


def as_json(report: Report) -> str:
    """Return the report as a JSON text."""
    return json.dumps(report.document(), indent=2, ensure_ascii=False) + "\n"


def write(path: Path, text: str) -> None:
    """Write a report of the controller; an error names the file."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnsibleActionFail(f"cannot write the report {path}: {error.strerror}") from error
