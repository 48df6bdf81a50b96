"""The one contract of exit codes for the command, JUnit reports and events."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a drCloud command, a run or a report ended with."""

    OK = 0
    FAILED = 1
    INVALID_INPUT = 2
    UNREACHABLE = 3
    NOTHING_MATCHED = 4
    LOCKED = 5
    DENIED = 6
    CANCELLED = 7
    TIMED_OUT = 8
    LOST = 9
    FINDINGS = 10
    INCOMPLETE = 11
    DRIFT = 12
    CMDB = 20
    INTERNAL = 70


# When several hold, the one an operator must act on first wins.
SEVERITY = (
    ExitCode.INTERNAL,
    ExitCode.CMDB,
    ExitCode.LOST,
    ExitCode.TIMED_OUT,
    ExitCode.CANCELLED,
    ExitCode.DENIED,
    ExitCode.LOCKED,
    ExitCode.INVALID_INPUT,
    ExitCode.NOTHING_MATCHED,
    ExitCode.UNREACHABLE,
    ExitCode.FAILED,
    ExitCode.INCOMPLETE,
    ExitCode.FINDINGS,
    ExitCode.DRIFT,
    ExitCode.OK,
)


def most_serious(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code that wins when several hold; ``OK`` when there is none."""
    return min(codes, key=SEVERITY.index, default=ExitCode.OK)
