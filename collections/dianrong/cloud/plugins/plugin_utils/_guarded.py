# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module that could cut its host off, and confirm what it did over a fresh connection.

The module arms the host's guard, makes its change and returns (module_utils/_guard.py). A connection that
stands through that proves nothing: its packets may pass by rules and neighbours that a new one would not
find. So the confirmation comes over a new TCP connection to the host, and when none comes through, the host
undoes the change by itself.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
import uuid

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.dianrong.cloud.plugins.plugin_utils._controller import failure

try:
    from drcloud.exitcodes import ExitCode
except ImportError:
    ExitCode = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.guard"
# Instead of the site's ssh_args: neither an existing master nor a new one. The first value given wins, so
# this also overrides the SSH configuration. A jump through a bastion is a connection of its own each time.
FRESH = "-o ControlMaster=no -o ControlPath=none"
# Seconds that one attempt to connect may take, and that the undo itself may take.
ATTEMPT = 10
GRACE = 90


def guarded(
    action: t.Any,
    module_name: str,
    module_args: dict[str, t.Any],
    task_vars: dict[str, t.Any],
    *,
    name: str,
    seconds: int,
) -> dict[str, t.Any]:
    """Run a module with the option ``guard`` and confirm its change within ``seconds``; return its result.

    The module gets ``guard: {token, seconds}`` and says ``guarded: true`` in its result when it armed the
    guard ``name``. A change that cannot be confirmed is a failure which says that the host is as before.
    ``AnsibleConnectionFailure``, which makes the host unreachable, when it does not answer before, in a check
    or never again.
    """
    if not action.check_mode:
        # Whoever is down now was not cut off by what comes; nobody has to wait for its undo.
        action._connection.exec_command("exit 0", sudoable=False)
    token = uuid.uuid4().hex[:12]
    given = {**module_args, "guard": {"token": token, "seconds": seconds}}
    lost = None
    try:
        result = action._execute_module(module_name=module_name, module_args=given, task_vars=task_vars)
    except AnsibleConnectionFailure as error:
        if action.check_mode:
            raise
        # The change may have cut this very connection and be good all the same: a new one tells.
        result, lost = {"guarded": True, "changed": True}, error
    if not result.get("guarded"):
        return dict(result)
    fresh = _Fresh(action, task_vars, name, token)
    outcome, said = fresh.ask(seconds + GRACE)
    if outcome == "confirmed":
        return dict(result)
    subject = f"change of {name} on {fresh.host}"
    if outcome is None and lost is not None:
        raise AnsibleConnectionFailure(
            f"{subject}: the connection broke, and the host has not answered for {seconds + GRACE} seconds "
            f"since; what it had begun it undoes by itself: {lost}"
        )
    return _unconfirmed(subject, outcome, said, seconds)


def _unconfirmed(subject: str, outcome: str | None, said: str, seconds: int) -> dict[str, t.Any]:
    if outcome == "reverted":
        return failure(
            f"{subject}: it was not confirmed over a fresh connection within {seconds} seconds, and the host "
            "has undone it; it is as it was before",
            ExitCode.FAILED,
        )
    if outcome == "unknown":
        return failure(f"{subject}: the connection broke before anything was changed", ExitCode.UNREACHABLE)
    return failure(
        f"{subject}: the host does not answer {GRACE} seconds after it should have undone the change: {said}",
        ExitCode.UNREACHABLE,
    )


class _Fresh:
    """Asks the host's guard over new connections."""

    def __init__(self, action: t.Any, task_vars: dict[str, t.Any], name: str, token: str) -> None:
        self._action = action
        self._task_vars = task_vars
        self._token = token
        self.name = name
        self.host = task_vars["inventory_hostname"]

    def ask(self, seconds: float) -> tuple[str | None, str]:
        """Confirm until an answer comes through; return the outcome, None without any, and the last words."""
        said = ""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with self._connection():
                    result = self._action._execute_module(
                        module_name=MODULE,
                        module_args={"name": self.name, "token": self._token, "state": "confirmed"},
                        task_vars=self._task_vars,
                    )
            except AnsibleConnectionFailure as error:
                said = str(error)
            else:
                if "outcome" in result:
                    return result["outcome"], ""
                said = str(result.get("msg", result))
            # A refused connection fails at once; the next attempt need not come in the same instant.
            time.sleep(0.5)
        return None, said

    @contextlib.contextmanager
    def _connection(self) -> t.Iterator[None]:
        """Speak to the host over a connection that nothing else uses, and leave no master that hangs."""
        connection = self._action._connection
        with contextlib.suppress(AnsibleError, AttributeError, NotImplementedError):
            connection.reset()
        if connection.transport != "ssh":
            yield
            return
        kept = {option: connection.get_option(option) for option in ("ssh_args", "timeout")}
        connection.set_option("ssh_args", FRESH)
        connection.set_option("timeout", min(ATTEMPT, int(kept["timeout"])))
        try:
            yield
        finally:
            for option, value in kept.items():
                connection.set_option(option, value)
