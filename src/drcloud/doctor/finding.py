"""What a check found: about what, how bad, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from drcloud.exitcodes import ExitCode


class Level(StrEnum):
    """How bad a finding is; ``SKIPPED`` is what could not be looked at because of another finding."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result: ``advice`` says what to do, ``exit_code`` is what it means for the command."""

    check: str
    subject: str
    level: Level
    message: str
    advice: str = ""
    exit_code: ExitCode = ExitCode.OK

    def document(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return {**asdict(self), "level": str(self.level), "exit_code": int(self.exit_code)}


def counted(number: int, noun: str) -> str:
    """Return how many there are of something: ``1 host``, ``2 hosts``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def fine(check: str, subject: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check, subject, Level.OK, message)


def skipped(check: str, subject: str, message: str) -> Finding:
    """Return that nobody could look, because of what another finding says."""
    return Finding(check, subject, Level.SKIPPED, message)


def warning(check: str, subject: str, message: str, advice: str) -> Finding:
    """Return something that works and should not stay."""
    return Finding(check, subject, Level.WARNING, message, advice)


def problem(check: str, subject: str, message: str, advice: str, code: ExitCode = ExitCode.FAILED) -> Finding:
    """Return something that does not work."""
    return Finding(check, subject, Level.PROBLEM, message, advice, code)
