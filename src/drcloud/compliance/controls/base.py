"""What a control is, and how its verdicts become results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

from drcloud.compliance.evidence import Evidence


class Severity(IntEnum):
    """How bad a finding is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """Return the name as people write it."""
        return self.name.lower()


class Status(StrEnum):
    """What a control says of one object. ``unknown`` is never as good as ``pass``."""

    PASS = "pass"  # noqa: S105 (a verdict)
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


# Of several verdicts on one object the first of these counts.
WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.PASS, Status.NOT_APPLICABLE)
HOST_OBJECT = "host"


class Verdict(NamedTuple):
    """What a control says of one object; the message names the object and what is wrong."""

    object: str
    status: Status
    message: str


@dataclass(frozen=True, slots=True)
class Control:
    """One rule. The slug is its name for ever; CIS numbers move between versions of the benchmark.

    ``parts`` are the parts of the evidence that the rule needs: where one of them could not be read, the
    rule says so beside what it still can tell. ``also_when`` are the states of the engine, beside
    ``present``, in which the rule can be judged as well.
    """

    slug: str
    title: str
    severity: Severity
    parts: tuple[str, ...]
    check: Callable[[Evidence], Iterator[Verdict]]
    rationale: str
    remediation: str
    cis: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    also_when: tuple[str, ...] = ()

    def apply(self, evidence: Evidence, engine_expected: bool) -> tuple[Verdict, ...]:
        """Return one verdict for each object, the worst where there were several."""
        verdicts = [*self._judge(evidence, engine_expected)]
        for part in self.parts:
            reason = evidence.unread(part)
            if reason is not None:
                verdicts.append(Verdict(part, Status.UNKNOWN, f"{part} could not be read: {reason}"))
        if not verdicts:
            verdicts.append(Verdict(HOST_OBJECT, Status.NOT_APPLICABLE, "there is nothing of this kind"))
        return _one_each(verdicts)

    def _judge(self, evidence: Evidence, engine_expected: bool) -> Iterator[Verdict]:
        if evidence.engine in ("present", *self.also_when):
            yield from self.check(evidence)
        elif evidence.engine != "unknown":
            yield _without_engine(evidence, engine_expected)


def _without_engine(evidence: Evidence, expected: bool) -> Verdict:
    if evidence.engine == "absent" and not expected:
        return Verdict("engine", Status.NOT_APPLICABLE, "there is no Docker Engine on this host")
    reason = evidence.unread("engine")
    state = {
        "absent": f"no engine answers at {evidence.socket}, though the CMDB gives this host the role docker",
        "stopped": "the engine is stopped",
    }.get(evidence.engine, "the engine does not answer" + (f": {reason}" if reason else ""))
    return Verdict("engine", Status.UNKNOWN, state)


def _one_each(verdicts: list[Verdict]) -> tuple[Verdict, ...]:
    ranked = sorted(verdicts, key=lambda verdict: (verdict.object, WORST_FIRST.index(verdict.status)))
    merged: dict[str, Verdict] = {}
    for verdict in ranked:
        first = merged.setdefault(verdict.object, verdict)
        if first is not verdict and first.status == verdict.status and verdict.message not in first.message:
            merged[verdict.object] = first._replace(message=f"{first.message}; {verdict.message}")
    return tuple(merged.values())


def decide(subject: str, good: bool, right: str, wrong: str) -> Verdict:
    """Return a pass or a fail with the message that belongs to it."""
    return Verdict(subject, Status.PASS if good else Status.FAIL, right if good else wrong)
