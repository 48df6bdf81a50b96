"""Judge evidence by all controls. Pure: the same evidence gives the same results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drcloud.compliance.controls import ALL, Control, Status, Verdict
from drcloud.compliance.controls.base import WORST_FIRST
from drcloud.compliance.evidence import Evidence
from drcloud.compliance.outcome import ControlOutcome, Problem

ENGINE_ROLE = "docker"
Results = Mapping[str, tuple[Verdict, ...]]


def evaluate(evidence: Evidence, role: str, controls: Sequence[Control] = ALL) -> Results:
    """Return for each control its verdicts on the objects of a host of this role."""
    return {control.slug: control.apply(evidence, role == ENGINE_ROLE) for control in controls}


def summarise(
    results: Results, states: Mapping[tuple[str, str], str] | None = None
) -> tuple[ControlOutcome, ...]:
    """Return results as outcomes; ``states`` says of (control, object) how old a finding is."""
    known = states or {}
    return tuple(
        ControlOutcome(
            control=slug,
            status=worst(verdict.status for verdict in verdicts),
            passed=sum(verdict.status == Status.PASS for verdict in verdicts),
            problems=tuple(
                Problem(
                    object=verdict.object,
                    status=verdict.status,
                    message=verdict.message,
                    state=known.get((slug, verdict.object)),
                )
                for verdict in verdicts
                if verdict.status in (Status.FAIL, Status.UNKNOWN)
            ),
        )
        for slug, verdicts in results.items()
    )


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of several statuses."""
    return min(statuses, key=WORST_FIRST.index, default=Status.NOT_APPLICABLE)
