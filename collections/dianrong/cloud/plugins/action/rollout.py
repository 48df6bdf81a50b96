# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin, plan, settle and finish a roll: the controller's part, beside the hosts' own steps."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _roll
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, open_store

try:
    from drcloud.delivery import ledger, preview, rollout, saved
    from drcloud.delivery.plan import Pull, first_to_pull
    from drcloud.delivery.wish import Wish
    from drcloud.errors import DrcloudError, InvalidInputError
except ImportError:
    rollout = None  # ControllerAction says what is missing.

RUN = "DRCLOUD_RUN_ID"
WAYS = ("deploy", "rollback", "resume", "apply", "current")
STATES = ("begun", "planned", "settled", "finished")


class ActionModule(ControllerAction):
    """Four calls per roll; the playbook ``deploy`` shows them in their places."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do the part that ``state`` names."""
        given = self.arguments(
            state={"type": "str", "required": True, "choices": list(STATES)},
            app={"type": "str"},
            tag={"type": "str"},
            env={"type": "str"},
            only={"type": "list", "elements": "str", "default": []},
            way={"type": "str", "choices": list(WAYS), "default": "deploy"},
            budget={"type": "int", "default": 0},
            watch={"type": "float"},
            at_once={"type": "int", "default": 10},
            plan={"type": "path"},
            rollout={"type": "dict"},
            save={"type": "path"},
        )
        return getattr(self, given["state"])(_roll.plain(given), task_vars)

    def begun(self, given: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Find out what is wanted, take the locks and open the deployment."""
        wish = _wish(given)
        begun = rollout.begin(
            open_store(),
            wish,
            run=os.environ.get(RUN),
            # The worker ends with its task; its parent is ansible-playbook, which lives as long as the roll.
            controller=os.getppid(),
            check=self.check_mode,
        )
        target = begun.target
        if target.lbs_away:
            self._display.warning(f"not asked, for it is out of service: {', '.join(target.lbs_away)}")
        return {
            "rollout": _roll.document(begun),
            "hosts": list(target.hosts),
            "first": first_to_pull(
                {name: place.rack for name, place in target.hosts.items()}, given["at_once"]
            ),
            "msg": f"{target.app} {target.tag} in {target.env} is {target.digest}",
        }

    def planned(self, given: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look at what hosts and balancers said, and write the plan; on refusal close the deployment."""
        begun = _roll.begun_of(given["rollout"])
        store = open_store()
        try:
            balancers = _roll.Front(self, begun, task_vars).balancers
            reports = [_report(host, task_vars) for host in begun.target.hosts]
            expected = saved.load(given["plan"]) if given["plan"] else None
            pools = balancers.pools()
            plan = rollout.make_plan(store, begun, reports, pools, expected)
            lost = [report.host for report in reports if report.unreachable]
            if begun.deployment and (lines := rollout.drain_lost(begun.target, lost, pools)):
                balancers.tell(lines)
        except DrcloudError as error:
            if begun.deployment:
                rollout.finish(store, begun, os.environ.get(RUN), str(error), int(error.exit_code))
            raise
        if given["save"]:
            text = json.dumps(saved.document(begun.target, plan), indent=2)
            Path(given["save"]).write_text(f"{text}\n", encoding="utf-8")
        told = plan.as_document()
        return {
            "steps": told["steps"],
            "lines": preview.lines(told),
            "order": [step.host for step in plan.rolled],
            "finish": [step.host for step in plan.rolled if step.action == "finish"],
            "serial": list(plan.serial) or [1],
            "batches": {step.host: list(plan.batch_of(step.host)) for step in plan.rolled},
            "stable": ledger.stable(store, begun.target.app, begun.target.env),
        }

    def settled(self, given: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Look at the load balancers once more, and say which hosts go back to what."""
        begun = _roll.begun_of(given["rollout"])
        if not begun.deployment:
            return {"back": {}, "order": [], "serial": [1]}
        store = open_store()
        if any(step.state == "done" for step in ledger.steps(store, begun.deployment)):
            # The hosts themselves just said that all is well there.
            _roll.record_fallen(store, begun, _roll.Front(self, begun, task_vars).seen(), "balancer")
        back = rollout.way_back(store, begun)
        return {
            "back": {host: _roll.document(one) for host, one in back.items()},
            "order": list(back),
            "serial": [rollout.back_at_once(begun.target)],
            "msg": f"goes back: {', '.join(back)}" if back else "nothing goes back",
        }

    def finished(self, given: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Decide how the roll ended, record it, give the locks back, and only then fail."""
        begun = _roll.begun_of(given["rollout"])
        if not begun.deployment:
            return {"msg": "check mode: nothing was deployed"}
        verdict = rollout.finish(open_store(), begun, os.environ.get(RUN))
        result = {"msg": verdict.message, "deployment": begun.deployment, "state": verdict.state}
        if verdict.exit_code:
            result.update(failed=True, dr_exit_code=int(verdict.exit_code))
        return result


def _wish(given: dict[str, t.Any]) -> t.Any:
    way = given["way"]
    for name in ("app", "tag", "env") if way == "deploy" else ("app", "env"):
        if not (given[name] or "").strip():
            raise InvalidInputError(f"the variable {name} is missing: say what to {way} with -e {name}=…")
    return Wish(
        given["app"],
        given["env"],
        given["tag"] or "",
        tuple(given["only"]),
        way,
        budget=given["budget"],
        watch=given["watch"],
        plan=given["plan"] or "",
    )


def _report(host: str, task_vars: dict[str, t.Any]) -> t.Any:
    variables = task_vars["hostvars"]
    found = variables[host].get("dr_prepared") if host in variables else None
    if found is None:
        return rollout.Report(host, (), "is not in the inventory, so it was not asked")
    found = _roll.plain(found)
    return rollout.Report(
        host,
        tuple(found.get("instances") or ()),
        found.get("trouble") or "",
        bool(found.get("lost")),
        found.get("kind") or "host",
        Pull(**found["pull"]) if found.get("pull") else None,
    )
