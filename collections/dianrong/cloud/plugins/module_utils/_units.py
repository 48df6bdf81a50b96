# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd unit on a host: read its state and decide (pure) what has to be done to it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass

# Of each unit an empty file, as old as the last reload that went well. It goes with the boot, as reloads do.
RELOADED = "/run/drcloud/reloaded"

# What a module that looks after a unit is told about it.
OPTIONS = {
    "name": {"type": "str", "required": True},
    "restart": {"type": "bool", "default": False},
    "reads": {"type": "list", "elements": "path", "default": []},
    "reload": {"type": "bool", "default": False},
    "reloads": {"type": "list", "elements": "path", "default": []},
    "when_stale": {"type": "str", "choices": ["restart", "reload"], "default": "restart"},
    "listens_on": {"type": "int"},
    "listens_at": {"type": "str", "default": "127.0.0.1"},
    "patience": {"type": "int", "default": 20},
}

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "InvocationID",
    "ActiveEnterTimestampMonotonic",
    "ExecStart",
    "MainPID",
)


@dataclass(frozen=True)
class Unit:
    """What systemd says about a unit."""

    name: str
    present: bool
    active: bool
    enabled: bool
    stale: bool
    invocation: str = ""
    entered: float = 0.0
    command: str = ""
    pid: int = 0


@dataclass(frozen=True)
class Steps:
    """What to do with a unit, in this order: daemon-reload, enable, then one action."""

    daemon_reload: bool
    enable: bool
    action: str

    @property
    def changed(self):
        """Whether anything that matters to the service happens (a daemon-reload alone does not)."""
        return self.enable or self.action != "none"


def parse(name, shown):
    """Return the unit that ``systemctl show`` described."""
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return Unit(
        name=name,
        present=found.get("LoadState") not in (None, "", "not-found"),
        active=found.get("ActiveState") in ("active", "reloading"),
        # A static or generated unit cannot be enabled; it starts for other reasons.
        enabled=found.get("UnitFileState") in ("enabled", "static", "indirect", "generated", "alias"),
        stale=found.get("NeedDaemonReload") == "yes",
        invocation=found.get("InvocationID", ""),
        entered=int(found.get("ActiveEnterTimestampMonotonic") or 0) / 1e6,
        command=found.get("ExecStart", ""),
        pid=int(found.get("MainPID") or 0),
    )


def read(module, name):
    """Ask systemd about a unit."""
    arguments = ["systemctl", "show", name, "--property=" + ",".join(PROPERTIES)]
    code, output, errors = module.run_command(arguments)
    if code:
        module.fail_json(msg=f"unit {name}: systemd does not answer: {errors.strip() or output.strip()}")
    return parse(name, output)


def started_at(unit):
    """Return when the unit became active, in seconds of the wall clock as it is now."""
    return time.time() - time.monotonic() + unit.entered


def outdated(unit, path):
    """Tell whether a file changed after the unit became active; one that is not there did not."""
    try:
        return os.stat(path).st_mtime > started_at(unit)
    except FileNotFoundError:
        return False


def taken_over_at(unit, directory=RELOADED):
    """Return when the unit last read its files, as far as we know: at its start, or at a reload of ours."""
    try:
        return max(started_at(unit), os.stat(os.path.join(directory, unit.name)).st_mtime)
    except FileNotFoundError:
        return started_at(unit)


def unread(unit, path, directory=RELOADED):
    """Tell whether a file changed after the unit last took its files over; one that is not there did not."""
    try:
        return os.stat(path).st_mtime > taken_over_at(unit, directory)
    except FileNotFoundError:
        return False


def note_reload(unit, began, directory=RELOADED):
    """Note that what was written before ``began`` (seconds of the wall clock) has been taken over."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, unit.name)
    with contextlib.suppress(FileExistsError), open(path, "x", encoding="utf-8"):
        pass
    os.utime(path, (began, began))


def decide(unit, restart=False, reload=False):
    """Return the steps that leave the unit enabled and running, on what it should have read; pure."""
    if not unit.active:
        action = "start"
    elif restart:
        action = "restart"
    else:
        action = "reload" if reload else "none"
    # systemd does not notice the first drop-in of a unit that it has loaded: read again whatever changed.
    return Steps(unit.stale or restart or reload, not unit.enabled, action)


def apply(module, unit, steps):
    """Take the steps; on failure say what the unit itself said last."""
    if steps.daemon_reload:
        _systemctl(module, unit.name, "daemon-reload")
    if steps.enable:
        _systemctl(module, unit.name, "enable", "--quiet", unit.name)
    if steps.action in ("start", "restart"):
        # A unit that failed too often refuses to start until it is reset.
        module.run_command(["systemctl", "reset-failed", unit.name])
    began = time.time()
    if steps.action != "none":
        _systemctl(module, unit.name, steps.action, unit.name)
    if steps.action == "reload":
        note_reload(unit, began)
    if steps.action in ("start", "restart"):
        _refuse_skipped(module, unit.name)


def last_words(module, name, lines=8):
    """Return the last lines of the unit's log in one line, for an error message."""
    command = ["journalctl", "--unit", name, "--lines", str(lines), "--output=cat", "--no-pager"]
    output = module.run_command(command)[1]
    return " | ".join(line.strip() for line in output.splitlines() if line.strip())


def _refuse_skipped(module, name):
    """Fail where systemd did not start a unit and calls that a success, for a condition is not met."""
    shown = module.run_command(["systemctl", "show", name, "--property=ConditionResult"])[1]
    if shown.strip() == "ConditionResult=no":
        module.fail_json(
            msg=f"unit {name}: systemd has not started it, for a condition of its unit file is not met on "
            f"this host; `systemctl status {name}` names it"
        )


def _systemctl(module, name, *arguments):
    code, output, errors = module.run_command(["systemctl", *arguments])
    if code:
        said = errors.strip() or output.strip()
        words = last_words(module, name)
        module.fail_json(msg=f"unit {name}: systemctl {arguments[0]} failed: {said}; its last words: {words}")


def ensure(module, given, written=()):
    """Read, plan, apply; return the result, given the files that were, or would be, written for the unit."""
    unit = read(module, given["name"])
    if not unit.present and not module.check_mode:
        module.fail_json(
            msg=f"unit {unit.name}: there is no such unit on this host; install its package first"
        )
    # A unit whose file changed on disk runs on the old one until it restarts.
    restart = given["restart"] or (unit.stale and given["when_stale"] == "restart")
    restart = restart or any(path in written or outdated(unit, path) for path in given["reads"])
    reload = given["reload"] or unit.stale
    reload = reload or any(path in written or unread(unit, path) for path in given["reloads"])
    steps = decide(unit, restart=restart, reload=reload)
    if not module.check_mode:
        apply(module, unit, steps)
        if given["listens_on"] and steps.action in ("start", "restart"):
            await_connection(module, given)
    before = {"active": unit.active, "enabled": unit.enabled}
    after = {"active": True, "enabled": True, "action": steps.action}
    diff = {"before": before, "after": after} if steps.changed else {}
    return {"changed": steps.changed, "action": steps.action, "diff": diff}


def await_connection(module, given):
    """Wait until something takes connections; fail with the unit's last words."""
    deadline = time.monotonic() + given["patience"]
    while True:
        try:
            socket.create_connection((given["listens_at"], given["listens_on"]), timeout=2).close()
        except OSError as error:
            if time.monotonic() > deadline:
                said = last_words(module, given["name"])
                place = f"{given['listens_at']} port {given['listens_on']}"
                module.fail_json(
                    msg=f"unit {given['name']}: {place} takes no connection ({error}); its last words: {said}"
                )
        else:
            return
        time.sleep(0.2)
