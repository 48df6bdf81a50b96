"""Who is acting, and under which ticket: what stands in ``change_log`` and deployments."""

from __future__ import annotations

import getpass
import os
import socket

LONGEST = 128


def current() -> str:
    """Return the name of whoever started this process.

    In order: what was said (``DRCLOUD_ACTOR``), the person behind a Jenkins build, the build
    itself, the person behind sudo, the account; people at a machine are ``user@machine``.
    """
    said = os.environ.get("DRCLOUD_ACTOR") or _jenkins() or f"{_account()}@{socket.gethostname()}"
    return said[:LONGEST]


def ticket() -> str | None:
    """Return the change ticket under which this process writes (``DRCLOUD_TICKET``), if one was named."""
    return os.environ.get("DRCLOUD_TICKET") or None


def _jenkins() -> str | None:
    for variable in ("BUILD_USER_ID", "BUILD_TAG"):
        if value := os.environ.get(variable):
            return f"jenkins:{value}"
    return None


def _account() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A user id without an account, as in a container.
        return f"uid{os.getuid()}"
