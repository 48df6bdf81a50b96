# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command of an app in a container of its own, which ends, and leaves nothing behind but what it wrote."""

from __future__ import annotations

import time

from ansible_collections.dianrong.cloud.plugins.module_utils import _instance
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import EngineError

LOOK = 0.2
# Its containers are ours, and no instances.
MARK = _instance.LABEL + "hook"
# What an instance has and a hook must not: it runs beside one.
APART = ("PortBindings", "Mounts", "Devices", "RestartPolicy")


class HookError(Exception):
    """A hook failed: how, and the last lines that it wrote."""

    def __init__(self, message, logs=()):
        super().__init__(message)
        self.logs = list(logs)


def payload(instance, command, subject, secrets=()):
    """Return what the engine is asked to create, from what it would be asked for an instance. Pure.

    C(secrets) are the mounts that an instance has for its secrets: a hook has those too.
    """
    config = {name: value for name, value in instance["HostConfig"].items() if name not in APART}
    if secrets:
        config["Mounts"] = list(secrets)
    own = {name: value for name, value in instance["Labels"].items() if not name.startswith(_instance.LABEL)}
    wanted = {name: value for name, value in instance.items() if name not in ("ExposedPorts", "Cmd")}
    # The image's entry point starts the app: it would take the command for arguments.
    program = {"Entrypoint": list(command[:1]), "Cmd": list(command[1:])}
    return dict(wanted, HostConfig=config, Labels=dict(own, **{MARK: subject}), **program)


def left(engine, subject):
    """Return names and ids of the hooks of an app and environment that are there, also of an older roll."""
    return {found["Name"].lstrip("/"): found["Id"] for found in engine.containers(f"{MARK}={subject}")}


def run(engine, container, timeout, clock=time.monotonic, sleep=time.sleep):
    """Run a hook that was created, and remove it; HookError where it does not end with 0 in that time."""
    try:
        try:
            engine.start(container)
        except EngineError as error:
            raise HookError(f"cannot be started: {error}") from error
        code = _wait(engine, container, clock() + timeout, clock, sleep)
        if code is None:
            raise HookError(f"did not end within {timeout:g} s", engine.logs(container))
        if code != 0:
            raise HookError(f"ended with exit code {code}", engine.logs(container))
    finally:
        engine.remove(container)


def _wait(engine, container, deadline, clock, sleep):
    """Return the exit code of a container that ends in time, else None."""
    while True:
        inspected = engine.inspect(container)
        if inspected is None:
            raise HookError("its container was removed by somebody else")
        if not inspected["State"].get("Running"):
            return inspected["State"].get("ExitCode")
        if clock() >= deadline:
            return None
        sleep(LOOK)
