"""The tree of errors that drCloud raises; each carries the exit code it maps to.

A message is one sentence that names the thing and the way out. The border (command,
action plugin, inventory plugin) prints it once, without a traceback.
"""

from __future__ import annotations

from typing import ClassVar

from drcloud.exitcodes import ExitCode


class DrcloudError(Exception):
    """Base of all errors that a user can act on."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED


class InvalidInputError(DrcloudError):
    """Something the user wrote is wrong: a file, an option, a name."""

    exit_code = ExitCode.INVALID_INPUT


class NotFoundError(InvalidInputError):
    """An app, a host, a tag or another named thing does not exist."""


class NothingMatchedError(DrcloudError):
    """A selection matched nothing, or fewer hosts than expected."""

    exit_code = ExitCode.NOTHING_MATCHED


class UnreachableError(DrcloudError):
    """A host, a registry or a load balancer did not answer."""

    exit_code = ExitCode.UNREACHABLE


class LockedError(DrcloudError):
    """A lease is held by somebody else."""

    exit_code = ExitCode.LOCKED


class DeniedError(DrcloudError):
    """A policy forbids it: it needs a change ticket, or one that covers it."""

    exit_code = ExitCode.DENIED


class CmdbError(DrcloudError):
    """The CMDB is unavailable, locked, corrupt or of another schema version."""

    exit_code = ExitCode.CMDB


class CmdbUnreachableError(CmdbError):
    """The CMDB does not answer at all; nothing is known to be wrong with it."""
