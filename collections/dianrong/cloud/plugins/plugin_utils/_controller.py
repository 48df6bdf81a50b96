# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of the collection's actions: the CMDB, secrets, and errors as results."""

from __future__ import annotations

import copy
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.dianrong.cloud.plugins.plugin_utils._package import (
    DrcloudPackageError,
    require_drcloud,
)

try:
    from drcloud import secrets
    from drcloud.cmdb.store import Store
    from drcloud.errors import DrcloudError
    from drcloud.exitcodes import ExitCode

    IMPORT_ERROR = None
except ImportError as error:
    IMPORT_ERROR = error


def open_store(url: str | None = None) -> Store:
    """Open the CMDB of a URL, which may hold ``${NAME}`` of the environment, or of this controller."""
    require_drcloud(IMPORT_ERROR)
    return Store.open(secrets.expand(url, "option cmdb_url") if url else None)


class ControllerAction(ActionBase):
    """An action that needs drCloud on the controller; its errors become one sentence and an exit code."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Act, and translate what goes wrong."""
        result = super().run(tmp, task_vars)
        try:
            require_drcloud(IMPORT_ERROR)
        except DrcloudPackageError as error:
            return {**result, "failed": True, "msg": str(error)}
        try:
            result.update(self.act(task_vars or {}))
        except DrcloudError as error:
            result.update(failed=True, msg=str(error), dr_exit_code=int(error.exit_code))
        return result

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the task's result; the subclass's part."""
        raise NotImplementedError

    def arguments(self, **spec: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the task's arguments, checked against the options given here."""
        return self.checked_arguments(spec)

    def checked_arguments(self, spec: dict[str, t.Any], **rules: t.Any) -> dict[str, t.Any]:
        """Return the task's arguments, checked against options and rules such as ``mutually_exclusive``."""
        return self.validate_argument_spec(argument_spec=spec, **rules)[1]

    @property
    def check_mode(self) -> bool:
        """Whether nothing may be changed."""
        return bool(self._task.check_mode)


class ResolvingAction(ControllerAction):
    """Run the host's module of the same name with references to secrets replaced by what they point at."""

    MODULE: t.ClassVar[str]
    # The list option and those of its elements' options that are references.
    ELEMENTS: t.ClassVar[str]
    REFERENCES: t.ClassVar[tuple[str, ...]]

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Resolve and run."""
        arguments = copy.deepcopy(self._task.args)
        arguments[self.ELEMENTS] = [self._resolved(element) for element in arguments.get(self.ELEMENTS) or []]
        return self._execute_module(module_name=self.MODULE, module_args=arguments, task_vars=task_vars)

    def _resolved(self, element: t.Any) -> t.Any:
        if not isinstance(element, dict):
            return element
        found = {name: secrets.resolve(element[name]) for name in self.REFERENCES if element.get(name)}
        return {**element, **found}


def failure(message: str, code: ExitCode) -> dict[str, t.Any]:
    """Return a failed result with an exit code of the contract."""
    return {"failed": True, "msg": message, "dr_exit_code": int(code)}
