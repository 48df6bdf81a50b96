"""What a compliance run found, as plain data that travels: from the hosts to the verdict to the reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from drcloud.compliance.controls import BY_SLUG, Severity, Status
from drcloud.exitcodes import ExitCode, most_serious


class Part(BaseModel):
    """Base of all parts: values do not change."""

    model_config = ConfigDict(frozen=True)


class Problem(Part):
    """An object that failed, or that could not be judged. ``state`` is ``new``, ``open`` or ``regressed``."""

    object: str
    status: Status
    message: str
    state: str | None = None


class ControlOutcome(Part):
    """One control on one host: its worst status, how many objects passed, and the others one by one."""

    control: str
    status: Status
    passed: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def severity(self) -> Severity:
        """Return the control's severity; a control that is not known any more counts as high."""
        control = BY_SLUG.get(self.control)
        return control.severity if control else Severity.HIGH

    def failed(self) -> tuple[Problem, ...]:
        """Return the findings."""
        return tuple(problem for problem in self.problems if problem.status == Status.FAIL)


class HostOutcome(Part):
    """One host: whether it was seen, and what the controls say of it."""

    host: str
    seen: bool
    reason: str = ""
    controls: tuple[ControlOutcome, ...] = ()
    fixed: tuple[str, ...] = ()


class Report(Part):
    """All hosts of a run. A finding counts towards the exit code from the threshold on.

    ``trouble`` says why there are no hosts.
    """

    threshold: str = "high"
    hosts: tuple[HostOutcome, ...] = ()
    not_expected: dict[str, str] = {}
    trouble: str = "no host was expected to comply: nothing was judged"

    @property
    def limit(self) -> Severity:
        """Return the threshold as a severity."""
        return Severity[self.threshold.upper()]

    def counts(self, outcome: ControlOutcome) -> bool:
        """Tell whether findings of a control count towards the exit code."""
        return outcome.severity >= self.limit

    def problems(self, status: Status) -> Iterator[tuple[HostOutcome, ControlOutcome, Problem]]:
        """Yield every problem of a status with its host and control."""
        for host in self.hosts:
            for outcome in host.controls:
                for problem in outcome.problems:
                    if problem.status == status:
                        yield host, outcome, problem

    @property
    def unseen(self) -> tuple[HostOutcome, ...]:
        """Return the hosts that were expected and not seen."""
        return tuple(host for host in self.hosts if not host.seen)

    @property
    def exit_code(self) -> ExitCode:
        """Return the code of the contract; what was not seen is never as good as a pass."""
        if not self.hosts:
            return ExitCode.NOTHING_MATCHED
        codes = [ExitCode.OK]
        if self.unseen or any(True for _ in self.problems(Status.UNKNOWN)):
            codes.append(ExitCode.INCOMPLETE)
        if any(self.counts(outcome) for _, outcome, _ in self.problems(Status.FAIL)):
            codes.append(ExitCode.FINDINGS)
        return most_serious(codes)

    @property
    def sentence(self) -> str:
        """Return the whole report in one sentence."""
        if not self.hosts:
            return self.trouble
        findings = [outcome for _, outcome, _ in self.problems(Status.FAIL)]
        counting = sum(self.counts(outcome) for outcome in findings)
        unknown = sum(host.seen for host, _, _ in self.problems(Status.UNKNOWN))
        parts = [f"{len(self.hosts) - len(self.unseen)} of {len(self.hosts)} hosts seen"]
        if self.unseen:
            parts[0] += f" (not {listed([host.host for host in self.unseen])})"
        parts.append(f"{len(findings)} findings, {counting} at or above {self.threshold}")
        if unknown:
            parts.append(f"{unknown} objects could not be judged")
        return ", ".join(parts)

    def document(self) -> dict[str, Any]:
        """Return the report as plain data, with what follows from it."""
        return {
            **self.model_dump(mode="json"),
            "exit_code": int(self.exit_code),
            "message": self.sentence,
        }


def listed(names: Sequence[str], limit: int = 10) -> str:
    """Return names for a sentence, the first few and how many more."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
