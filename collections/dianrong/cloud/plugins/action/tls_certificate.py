# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a host's server certificate good: look at it there, sign a new one here when it has to be."""

from __future__ import annotations

import datetime
import sys
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import ControllerAction, failure

try:
    from drcloud import secrets
    from drcloud.exitcodes import ExitCode
except ImportError:
    secrets = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.tls_certificate"


class ActionModule(ControllerAction):
    """The CA's key never leaves the controller, and the new key goes only to its host."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read on the host, decide, and let the host's module write."""
        given = self.arguments(
            path={"type": "path", "required": True},
            names={"type": "list", "elements": "str", "required": True},
            ca_certificate={"type": "str", "required": True},
            ca_key={"type": "str", "required": True, "no_log": False},
            days={"type": "int", "default": 397},
            renew_before_days={"type": "int", "default": 30},
            owner={"type": "str", "default": "root"},
            group={"type": "str", "default": "root"},
            mode={"type": "str", "default": "0640"},
        )
        if _certificates.CRYPTOGRAPHY_ERROR:
            program = sys.executable
            return failure(
                "signing certificates needs the Python package cryptography; "
                f"run: {program} -m pip install cryptography",
                ExitCode.INVALID_INPUT,
            )
        try:
            authority = _certificates.load_authority(
                secrets.resolve(given["ca_certificate"]), secrets.resolve(given["ca_key"])
            )
        except ValueError as error:
            return failure(f"{given['ca_certificate']}, {given['ca_key']}: {error}", ExitCode.INVALID_INPUT)
        return self._ensure(given, authority, task_vars)

    def _ensure(
        self, given: dict[str, t.Any], authority: _certificates.Authority, task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        file = {name: given[name] for name in ("path", "owner", "group", "mode")}
        found = self._execute_module(module_name=MODULE, module_args=file, task_vars=task_vars)
        if found.get("failed") or found.get("unreachable"):
            return found
        wish = _certificates.Wish(
            tuple(given["names"]),
            datetime.timedelta(days=given["days"]),
            datetime.timedelta(days=given["renew_before_days"]),
        )
        now = datetime.datetime.now(datetime.UTC)
        why = _certificates.objection(found.get("certificate"), authority, wish, now)
        if why is None:
            return found
        file["pem"] = _certificates.issue(authority, wish, now)
        result = self._execute_module(module_name=MODULE, module_args=file, task_vars=task_vars)
        return {**result, "reason": why}
