# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put an app into maintenance at all its load balancers, or back: declared, then done, then read back."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers, _locks
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    WRITING,
    CmdbAction,
    Wanted,
    result,
)

try:
    from drcloud.cmdb import lookup
    from drcloud.delivery import haproxy, maintenance
    from drcloud.delivery.switch import BalancerError
    from drcloud.errors import InvalidInputError, NothingMatchedError
except ImportError:
    haproxy = None  # ControllerAction says what is missing.

OPTIONS = {
    "app": {"type": "str", "required": True},
    "env": {"type": "str", "required": True},
    "enabled": {"type": "bool", "required": True},
}
HTTP = "http"


class ActionModule(CmdbAction):
    """The CMDB says what should be; the load balancers follow at once, without a reload."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Ask, declare, tell, read back."""
        given = self.options(WRITING, OPTIONS)
        with self.store().read() as session:
            lookup.placement(session, given["app"], given["env"])
        pool = haproxy.pool_name(given["app"], given["env"])
        balancers = _balancers.connect(self, pool, _pages(pool, task_vars), task_vars)
        with self._alone(pool, given["enabled"]):
            before, silent = balancers.each(lambda lb: lb.page("ask", pool))
            if not before:
                raise next(iter(silent.values()))
            outcome = self.change([self._placement(given)])
            wanted = maintenance.wanted(given["enabled"])
            after = {lb: wanted for lb in before if before[lb] != wanted}
            if after and not self.check_mode:
                found, silent = balancers.each(lambda lb: _told(lb, pool, wanted))
                after = {lb: page for lb, page in found.items() if before.get(lb) != page}
        told = _result(result(outcome), before, {**before, **after})
        return told if not silent else {**told, **_failure(silent, before, wanted, self.check_mode)}

    def _placement(self, given: dict[str, t.Any]) -> t.Any:
        # What is not in maintenance says nothing of it.
        declared = {maintenance.FIELD: True if given["enabled"] else None}
        return Wanted("placement", declared, f"{given['app']}@{given['env']}")

    def _alone(self, pool: str, enabled: bool) -> t.ContextManager[None]:
        """Keep others who change the same out, a provision too; a roll in hand does not touch the page."""
        if self.check_mode:
            return contextlib.nullcontext()
        purpose = "maintenance" if enabled else "end of maintenance"
        return _locks.alone(self.store(), f"maintenance:{pool}", purpose, beside=[f"lb:{pool}"])


def _pages(pool: str, task_vars: t.Mapping[str, t.Any]) -> list[str]:
    """Return the load balancers that have the pool; refuse a pool that cannot answer with a page."""
    known = _balancers.in_front(pool, task_vars)
    if not known:
        raise NothingMatchedError(
            f"no load balancer in service has the pool {pool}, so nobody could answer for it"
        )
    for found in known.values():
        if found.get("mode", HTTP) != HTTP:
            raise InvalidInputError(
                f"pool {pool} is of mode {found['mode']}: only http can be answered with a page; take its "
                "hosts out of service instead (lb_member)"
            )
    return [str(lb) for lb in known]


def _told(balancer: t.Any, pool: str, wanted: t.Any) -> t.Any:
    """Tell a load balancer and return what it does then, which must be what it was told."""
    found = balancer.page("on" if wanted.serves else "off", pool)
    if found != wanted:
        raise BalancerError(
            f"load balancer {balancer.name} was told to serve the {wanted} for {pool}, but serves the {found}"
        )
    return found


def _result(told: dict[str, t.Any], before: dict[str, t.Any], after: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add the load balancers to what changed in the CMDB."""
    lbs = [
        {
            "before_header": f"load balancer {lb}",
            "after_header": f"load balancer {lb}",
            "before": f"{before[lb]}\n" if lb in before else "",
            "after": f"{after[lb]}\n",
        }
        for lb in sorted(after)
        if before.get(lb) != after[lb]
    ]
    return {
        "changed": told["changed"] or bool(lbs),
        "changes": told["changes"],
        "lbs": {lb: str(page) for lb, page in sorted(after.items())},
        "diff": [*told["diff"], *lbs],
    }


def _failure(
    silent: dict[str, t.Any], before: dict[str, t.Any], wanted: t.Any, check: bool
) -> dict[str, t.Any]:
    """Return the failure that names who has not followed, and what that means."""
    followed = sorted(set(before) - set(silent))
    would = "would serve" if check else "serves"
    words = [str(silent[lb]) for lb in sorted(silent)]
    words.append(f"{' and '.join(followed)} {would} the {wanted}" if followed else "nobody has followed")
    words.append("run it again when all answer, before they take traffic")
    code = next(int(error.exit_code) for error in silent.values())
    return {"failed": True, "msg": "; ".join(words), "dr_exit_code": code}
