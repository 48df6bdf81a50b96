"""How a run ended: pure reading of its events and of ansible-playbook's return code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from drcloud.exitcodes import ExitCode, most_serious
from drcloud.runs import events
from drcloud.runs.events import Event

# ansible-core's own return codes (ansible.errors.ExitCode); 4 means unreachable or a parser error.
RC_PARSER_OR_UNREACHABLE = 4
RC_OPTIONS = 5
RC_INTERRUPTED = 99
_NO_TARGET = "leaves us with no hosts to target"
_NOT_FOUND = re.compile(r"the playbook: (?P<name>\S+) (?:could not be found|does not appear to be a file)")
_NO_SOURCE = "Completely failed to parse inventory source"
_UNREAD = re.compile(r"Failed to parse inventory with '\S+' plugin: (?P<why>.+)")
# What the inventory plugin says of a source that gives no host (``drcloud.cmdb.inventory``).
_EMPTY = re.compile(r"the CMDB holds (?:no|only retired) hosts|no host of the CMDB matches ")
_ERROR_MARKS = ("[ERROR]:", "ERROR!")
_ORIGIN = "Origin:"
_STATES = {
    ExitCode.OK: "succeeded",
    ExitCode.CANCELLED: "cancelled",
    ExitCode.TIMED_OUT: "timed-out",
    ExitCode.LOST: "lost",
}


class Stop(StrEnum):
    """Why we ended ansible-playbook ourselves."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class Failure:
    """A host that failed or did not answer, where, and why."""

    host: str
    task: str
    message: str
    unreachable: bool = False
    exit_codes: tuple[ExitCode, ...] = ()


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The end of a run. ``message`` is one sentence; ``stats`` counts per host what happened."""

    uid: str
    exit_code: ExitCode
    message: str
    started_at: datetime
    ended_at: datetime
    failures: tuple[Failure, ...] = ()
    stats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether everything was done."""
        return self.exit_code == ExitCode.OK

    @property
    def state(self) -> str:
        """Return the state that the runs table shows."""
        return state_of(self.exit_code)

    @property
    def changed(self) -> int:
        """Return how many changes the hosts reported."""
        return sum(counts.get("changed", 0) for counts in self.stats.values())

    def document(self) -> dict[str, Any]:
        """Return the outcome as plain data, for ``--json``."""
        return {
            "run": self.uid,
            "state": self.state,
            "exit_code": int(self.exit_code),
            "message": self.message,
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "hosts": {host: dict(counts) for host, counts in sorted(self.stats.items())},
            "failures": [
                {"host": f.host, "task": f.task, "message": f.message, "unreachable": f.unreachable}
                for f in self.failures
            ],
        }


def state_of(code: ExitCode) -> str:
    """Return the state of a run that ended with a code."""
    return _STATES.get(code, "failed")


class Story:
    """What has happened in a run so far, and what it means at the end."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.begun = False
        self._error: list[str] = []
        self._reading = False
        self._unread = ""
        self.prompt: str | None = None
        self._failures: dict[str, list[Failure]] = {}
        self._totals: Mapping[str, Mapping[str, int]] | None = None

    def add(self, event: Event) -> None:
        """Take in one event."""
        if event.type == events.PLAYBOOK_START:
            self.begun = True
        elif event.type == events.STATS:
            self._totals = event.data
        elif event.type == events.TEXT:
            self._read(event.text)
        elif event.type == events.PROMPT:
            self.prompt = str(event.data["variable"])
        elif event.type in (events.FAILED, events.UNREACHABLE) and not event.data.get("ignored"):
            self._failures.setdefault(event.host or "?", []).append(_failure(event))

    def _read(self, text: str) -> None:
        """Keep the first error that is printed, without its excerpt of a file, which may show a secret."""
        for line in text.splitlines() or [""]:
            if not self._unread and (unread := _UNREAD.search(line)):
                self._unread = unread["why"]
            if line.startswith(_ERROR_MARKS):
                self._reading = not self._error
            elif line.startswith(_ORIGIN) and self._reading:
                self._error.append(f"(at {line.removeprefix(_ORIGIN).strip()})")
                self._reading = False
            elif not line.strip():
                self._reading = False
            if self._reading:
                self._error.append(line)

    def failures(self) -> tuple[Failure, ...]:
        """Return what the hosts finally failed with: what a rescue caught does not count."""
        if self._totals is None:
            return tuple(failures[-1] for failures in self._failures.values())
        lost = {**self._totals["failures"], **self._totals["dark"]}
        return tuple(
            failure
            for host, told in self._failures.items()
            for failure in told[-lost.get(host, 0) or len(told) :]
            if host in lost
        )

    def stats(self) -> dict[str, dict[str, int]]:
        """Return per host how many tasks were ok, changed, failed and so on."""
        totals = self._totals or {}
        names = {"failures": "failed", "dark": "unreachable"}
        return {
            host: {
                names.get(kind, kind): counts[host]
                for kind, counts in totals.items()
                if kind != "processed" and host in counts
            }
            for host in totals.get("processed", {})
        }

    def verdict(self, rc: int | None, stop: Stop | None) -> tuple[ExitCode, str]:
        """Return the exit code and one sentence for a process that ended with ``rc``.

        ``rc`` is ``None`` when a signal killed it; ``stop`` says why we ended it, if we did.
        """
        if stop is not None:
            return _stopped(stop, self.prompt)
        if rc is None:
            return ExitCode.LOST, "ansible-playbook was killed by a signal; what it last did is unknown"
        if rc == RC_INTERRUPTED:
            return ExitCode.CANCELLED, "cancelled: ansible-playbook was interrupted"
        failures = self.failures()
        if failures:
            return most_serious(code_of(failure) for failure in failures), hosts_sentence(failures)
        if rc == 0:
            return self._success()
        return self._broken(rc)

    def _success(self) -> tuple[ExitCode, str]:
        if not self.stats():
            return ExitCode.NOTHING_MATCHED, "no host or no task matched: nothing was done"
        changed = sum(counts.get("changed", 0) for counts in self.stats().values())
        return ExitCode.OK, f"done on {_number(len(self.stats()), 'host')}, {_number(changed, 'change')}"

    def _broken(self, rc: int) -> tuple[ExitCode, str]:
        text = events.shorten(" ".join(self._error)).removeprefix("[ERROR]: ").removeprefix("ERROR! ")
        if _NO_TARGET in text:
            return ExitCode.NOTHING_MATCHED, "no host matched: the inventory and --limit leave none"
        missing = _NOT_FOUND.search(text)
        if missing:
            return (
                ExitCode.INVALID_INPUT,
                f"playbook {missing['name']} not found: name a file or a collection playbook",
            )
        if _NO_SOURCE in text:
            if _EMPTY.search(self._unread):
                return ExitCode.NOTHING_MATCHED, events.shorten(self._unread)
            why = self._unread or "see it with ansible-inventory --list"
            return ExitCode.INVALID_INPUT, events.shorten(f"the inventory cannot be read: {why}")
        wrong = rc in (RC_PARSER_OR_UNREACHABLE, RC_OPTIONS)
        code = ExitCode.INVALID_INPUT if wrong else ExitCode.FAILED
        return code, text or f"ansible-playbook ended with code {rc} and said nothing"


def _failure(event: Event) -> Failure:
    codes = []
    for code in event.data.get("exit_codes", ()):
        codes.append(ExitCode(code) if code in ExitCode._value2member_map_ else ExitCode.FAILED)
    return Failure(
        host=event.host or "?",
        task=event.task or "?",
        message=str(event.data.get("msg", "")),
        unreachable=event.type == events.UNREACHABLE,
        exit_codes=tuple(codes),
    )


def code_of(failure: Failure) -> ExitCode:
    """Return what one failure means: the code the action named, else unreachable or failed."""
    if failure.exit_codes:
        return most_serious(failure.exit_codes)
    return ExitCode.UNREACHABLE if failure.unreachable else ExitCode.FAILED


def hosts_sentence(failures: Sequence[Failure]) -> str:
    """Return one sentence that names who failed and who did not answer."""
    parts = []
    for verb, dark in (("failed on", False), ("unreachable:", True)):
        names = sorted({failure.host for failure in failures if failure.unreachable is dark})
        if names:
            parts.append(f"{verb} {_listed(names)}")
    return "; ".join(parts)


def _stopped(stop: Stop, prompt: str | None) -> tuple[ExitCode, str]:
    if stop is Stop.CANCELLED:
        return ExitCode.CANCELLED, "cancelled; hosts keep what was done so far"
    if stop is Stop.TIMED_OUT:
        return ExitCode.TIMED_OUT, "timed out and stopped; hosts keep what was done so far"
    return (
        ExitCode.INVALID_INPUT,
        f"the playbook asks for {prompt}, and nobody can answer: give -e {prompt}=…",
    )


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _number(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
