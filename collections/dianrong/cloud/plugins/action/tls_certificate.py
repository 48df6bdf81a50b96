# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a host's certificate good: look at it there, sign a new one here when it has to be."""

from __future__ import annotations

import datetime
import sys
import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import Wanted, result
from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import (
    ControllerAction,
    failure,
    open_store,
)

try:
    from drcloud import secrets
    from drcloud.cmdb import objects
    from drcloud.errors import InvalidInputError
    from drcloud.exitcodes import ExitCode
except ImportError:
    secrets = objects = InvalidInputError = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.tls_certificate"
OPTIONS = {
    "path": {"type": "path", "required": True},
    "names": {"type": "list", "elements": "str", "required": True},
    "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": ["server"]},
    "ca_certificate": {"type": "str", "required": True},
    "ca_key": {"type": "str", "no_log": False},
    "ca_path": {"type": "path"},
    "certificate": {"type": "str"},
    "days": {"type": "int", "default": 397},
    "renew_before_days": {"type": "int", "default": 30},
    "rotate": {"type": "bool", "default": False},
    "purpose": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0640"},
}


class ActionModule(ControllerAction):
    """The CA's key never leaves the controller, and the new key goes only to its host."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read on the host, decide, let the host's module write, and record what the host has then."""
        given = self.checked_arguments(OPTIONS, required_one_of=[("ca_key", "certificate")])
        if _certificates.CRYPTOGRAPHY_ERROR:
            program = sys.executable
            return failure(
                "signing certificates needs the Python package cryptography; "
                f"run: {program} -m pip install cryptography",
                ExitCode.INVALID_INPUT,
            )
        now = datetime.datetime.now(datetime.UTC)
        wish = _wish(given)
        authority, ca_pem = _authority(given, now)
        if said := _certificates.ending(authority, wish, now):
            self._display.warning(f"{given['ca_certificate']}: {said}")
        pem = _given(given, authority, wish, now)
        done = self._ensure(given, ca_pem, task_vars, lambda found: _decide(found, pem, authority, wish, now))
        if given["purpose"] and not done.get("failed") and not done.get("unreachable"):
            done = _merged(done, self._record(given["purpose"], done, task_vars["inventory_hostname"]))
        return done

    def _ensure(
        self,
        given: dict[str, t.Any],
        ca_pem: str,
        task_vars: dict[str, t.Any],
        decide: t.Callable[[str | None], tuple[str | None, str | None]],
    ) -> dict[str, t.Any]:
        """Bring the host to a good certificate; the first look already sets owner, mode and the CA's file."""
        file = {name: given[name] for name in ("path", "ca_path", "owner", "group", "mode")}
        file["ca_pem"] = ca_pem if given["ca_path"] else None
        found = self._execute_module(module_name=MODULE, module_args=file, task_vars=task_vars)
        if found.get("failed") or found.get("unreachable"):
            return found
        why, pem = decide(found.get("certificate"))
        if pem is None:
            return found
        file.update(pem=pem, ca_pem=None)
        done = self._execute_module(module_name=MODULE, module_args=file, task_vars=task_vars)
        return {**_merged(found, done), "reason": why}

    def _record(self, purpose: str, done: dict[str, t.Any], host: str) -> dict[str, t.Any]:
        """Say in the CMDB which certificate the host has, and until when it is good."""
        fields = {**_certificates.facts(done["certificate"])._asdict(), "host": host, "purpose": purpose}
        wanted = Wanted("certificate", fields, f"{host}-{purpose}")
        why = f"tls_certificate: {done.get('reason') or 'what the host has'}"
        return result(objects.change(open_store(), [wanted], reason=why, dry_run=self.check_mode))


def _wish(given: dict[str, t.Any]) -> _certificates.Wish:
    wish = _certificates.Wish(
        tuple(given["names"]),
        datetime.timedelta(days=given["days"]),
        datetime.timedelta(days=given["renew_before_days"]),
        tuple(given["usages"]),
        given["rotate"],
    )
    try:
        _certificates.check_lifetime(wish)
    except ValueError as error:
        raise InvalidInputError(f"{error}; nothing was changed") from error
    return wish


def _authority(given: dict[str, t.Any], now: datetime.datetime) -> tuple[_certificates.Authority, str]:
    """Return the CA and its certificate in PEM; an unusable one is refused by its references."""
    named = [given[name] for name in ("ca_certificate", "ca_key") if given[name]]
    pem, *key = (secrets.resolve(reference) for reference in named)
    try:
        if key:
            return _certificates.load_authority(pem, key[0], now), pem
        return _certificates.Authority(_certificates.load_trusted(pem, now), None), pem
    except ValueError as error:
        raise InvalidInputError(f"{', '.join(named)}: {error}; nothing was changed") from error


def _given(
    given: dict[str, t.Any],
    authority: _certificates.Authority,
    wish: _certificates.Wish,
    now: datetime.datetime,
) -> str | None:
    """Return the certificate that the task brings along; one that would not serve is refused."""
    if not given["certificate"]:
        return None
    try:
        return _certificates.load_given(secrets.resolve(given["certificate"]), authority, wish, now)
    except ValueError as error:
        raise InvalidInputError(
            f"certificate {given['certificate']}: {error}; nothing was changed"
        ) from error


def _decide(
    found: str | None,
    pem: str | None,
    authority: _certificates.Authority,
    wish: _certificates.Wish,
    now: datetime.datetime,
) -> tuple[str | None, str | None]:
    """Return why the host's certificate has to be replaced and with what; None twice when it is good."""
    if pem is not None:
        same = found is not None and _certificates.facts(found) == _certificates.facts(pem)
        return (None, None) if same else ("another one is given", pem)
    why = _certificates.objection(found, authority, wish, now)
    return (why, _certificates.issue(authority, wish, now)) if why else (None, None)


def _merged(first: dict[str, t.Any], second: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return two results of one task as one."""
    changed = bool(first.get("changed") or second.get("changed"))
    diff = [*(first.get("diff") or []), *(second.get("diff") or [])]
    return {**first, **second, "changed": changed, "diff": diff}
