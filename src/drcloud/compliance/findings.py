"""Findings over time: what is new, what is still open, what was fixed, what came back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from drcloud.compliance.controls import BY_SLUG, Status, Verdict
from drcloud.compliance.evaluate import Results


class State(StrEnum):
    """Where a finding stands. ``new`` and ``regressed`` last until it is seen again."""

    NEW = "new"
    OPEN = "open"
    FIXED = "fixed"
    REGRESSED = "regressed"


# What follows when a finding is seen in a state, none meaning that it was never seen.
SEEN = {
    None: State.NEW,
    State.NEW: State.OPEN,
    State.OPEN: State.OPEN,
    State.REGRESSED: State.OPEN,
    State.FIXED: State.REGRESSED,
}


@dataclass(frozen=True, slots=True)
class Known:
    """A finding that the CMDB already holds for the host."""

    control: str
    object: str
    state: State


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a finding. ``verdict`` is ``None`` where it is fixed."""

    fingerprint: str
    control: str
    object: str
    state: State
    before: State | None
    verdict: Verdict | None

    @property
    def severity(self) -> str:
        """Return the severity of the finding's control."""
        return BY_SLUG[self.control].severity.label if self.control in BY_SLUG else "high"


def fingerprint(control: str, host: str, subject: str) -> str:
    """Return what a finding is recognised by, in every run and for ever."""
    return hashlib.sha256("\0".join((control, host, subject)).encode()).hexdigest()


def plan(host: str, known: Mapping[str, Known], results: Results) -> tuple[Change, ...]:
    """Return what becomes of the findings of a host; ``known`` is keyed by fingerprint."""
    seen = tuple(_seen(host, known, results))
    return (*seen, *_fixed(known, results, {change.fingerprint for change in seen}))


def _seen(host: str, known: Mapping[str, Known], results: Results) -> Iterator[Change]:
    for control, verdicts in results.items():
        for verdict in verdicts:
            if verdict.status == Status.FAIL:
                key = fingerprint(control, host, verdict.object)
                before = known[key].state if key in known else None
                yield Change(key, control, verdict.object, SEEN[before], before, verdict)


def _fixed(known: Mapping[str, Known], results: Results, seen: set[str]) -> Iterator[Change]:
    for key, finding in known.items():
        verdicts = results.get(finding.control)
        # Where a control could not see everything, what is gone from view is not thereby fixed.
        if key in seen or verdicts is None or finding.state == State.FIXED or _blind(verdicts):
            continue
        yield Change(key, finding.control, finding.object, State.FIXED, finding.state, None)


def _blind(verdicts: tuple[Verdict, ...]) -> bool:
    return any(verdict.status == Status.UNKNOWN for verdict in verdicts)
