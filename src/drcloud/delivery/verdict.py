"""How a roll stands and how it ended, from its steps in the ledger. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drcloud.delivery import ledger
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.target import Target
from drcloud.exitcodes import ExitCode, most_serious

CODES = {"unreachable": ExitCode.UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a roll ended, in one sentence and with its exit code."""

    state: str
    message: str
    exit_code: ExitCode


def stopped_by(steps: Sequence[StepRow], budget: int = 0) -> StepRow | None:
    """Return the step that a roll stops at, if any; ``budget`` hosts may be lost before it does."""
    lost = [step for step in steps if step.state == "unreachable"]
    bad = [step for step in steps if step.state in ledger.BAD and step.state != "unreachable"]
    if len(lost) > budget:
        bad.append(lost[0])
    return min(bad, key=lambda step: step.position) if bad else None


def decide(
    target: Target,
    steps: Sequence[StepRow],
    trouble: str = "",
    code: ExitCode = ExitCode.FAILED,
    budget: int = 0,
) -> Verdict:
    """Return how a roll ended; ``trouble`` stopped it before it began."""
    what = f"{target.app} {target.tag} in {target.env}"
    if trouble:
        return Verdict("failed", trouble, code)
    if stopped_by(steps, budget) is not None:
        bad = [step for step in steps if step.state in ledger.BAD and not step.put_back]
        codes = [CODES.get(step.state, ExitCode.FAILED) for step in bad]
        state = "reverted" if _all_as_before(steps) else "failed"
        return Verdict(state, _stopped(what, steps, bad), most_serious(codes))
    open_steps = [step.host for step in steps if step.state in ("pending", "claimed", "skipped")]
    if open_steps:
        message = f"{what}: the roll did not get to {', '.join(open_steps)}; run it again to continue"
        return Verdict("failed", message, ExitCode.FAILED)
    return _came_through(target, what, steps)


def _came_through(target: Target, what: str, steps: Sequence[StepRow]) -> Verdict:
    done = [step for step in steps if step.state == "done"]
    lost = [step.host for step in steps if step.state == "unreachable"]
    if lost:
        again = f"drcloud deploy {target.app} {target.tag} --env {target.env} --limit {','.join(lost)}"
        message = (
            f"{what}: rolled to {len(done)} of {len(steps)} hosts; lost and quarantined: {', '.join(lost)} "
            f"(`{again}` catches up when they answer again)"
        )
        return Verdict("succeeded", message, ExitCode.UNREACHABLE)
    if not done:
        return Verdict("nothing-to-do", f"{what}: nothing to do, all {len(steps)} hosts run it", ExitCode.OK)
    return Verdict("succeeded", f"{what}: rolled to {len(done)} of {len(steps)} hosts", ExitCode.OK)


def _all_as_before(steps: Sequence[StepRow]) -> bool:
    """Tell whether an app failed and all hosts are as they were: a release that is no good, not a pause."""
    states = {step.state for step in steps}
    failed = any(step.detail.get("kind") == "app" for step in steps)
    return failed and states <= {"reverted", "pending", "skipped", "unchanged"}


def _stopped(what: str, steps: Sequence[StepRow], bad: Sequence[StepRow]) -> str:
    sentences = [
        f"{step.host} {_ended(step)}: {step.detail.get('reason', 'no reason recorded')}" for step in bad
    ]
    parts = {
        "put back": [step.host for step in steps if step.state == "reverted" and step.put_back],
        "on the new revision": [step.host for step in steps if step.state == "done"],
        "untouched": [step.host for step in steps if step.state in ("pending", "skipped")],
    }
    told = [f"{name}: {', '.join(hosts)}" for name, hosts in parts.items() if hosts]
    if not parts["on the new revision"]:
        told.insert(0, "no host is on the new revision")
    return f"{what}: stopped at {'; '.join(sentences)} ({'; '.join(told)})"


def _ended(step: StepRow) -> str:
    if step.state == "reverted":
        return "(back on what it ran before)"
    return "(unreachable)" if step.state == "unreachable" else "(failed)"
