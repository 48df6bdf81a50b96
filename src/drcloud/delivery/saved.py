"""A plan that was saved, to be looked at and applied later: it holds as long as what it was made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from drcloud.delivery.plan import Plan
from drcloud.delivery.target import Target, Wanted
from drcloud.delivery.target import target as target_of
from drcloud.errors import InvalidInputError


class SavedStep(BaseModel):
    """What was to be done on a host, and from what that was concluded."""

    host: str
    batch: int
    action: str
    previous: str | None


class SavedPlan(BaseModel):
    """A plan as a file has it; what the file says beside it is for people."""

    app: str
    env: str
    tag: str
    digest: str
    revision: str
    spec_version: int
    config_version: int
    steps: tuple[SavedStep, ...]


@dataclass(frozen=True, slots=True)
class Stale:
    """Why a saved plan does not hold any more."""

    why: str

    def error(self) -> InvalidInputError:
        """Return it as an error."""
        return InvalidInputError(
            f"the plan does not hold any more: {self.why}; make a new one with `drcloud deploy … --plan`"
        )


def document(target: Target, plan: Plan) -> dict[str, Any]:
    """Return a plan and what it is about, for a file. There is no secret in it."""
    return {
        "app": target.app,
        "env": target.env,
        "tag": target.tag,
        "digest": target.digest,
        "revision": target.revision,
        "spec_version": target.spec_version,
        "config_version": target.config_version,
        **plan.as_document(),
    }


def load(path: str | Path) -> SavedPlan:
    """Read a plan; InvalidInputError names the file and what is wrong with it."""
    try:
        return SavedPlan.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidInputError(f"cannot read the plan {path}: {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise InvalidInputError(
            f"{path} is no plan: save one with `drcloud deploy … --plan --save {path}`"
        ) from error


def goal(plan: SavedPlan, wanted: Wanted) -> Target:
    """Return what a plan rolls, by its digest; InvalidInputError where the CMDB says something else now."""
    found = target_of(wanted, plan.tag, plan.digest)
    known = {
        "specification": (plan.spec_version, found.spec_version),
        "configuration": (plan.config_version, found.config_version),
    }
    for what, (then, now) in known.items():
        if then != now:
            raise Stale(f"the {what} of {plan.app} was {then or 'none'} and is {now or 'none'}").error()
    if found.revision != plan.revision:
        raise Stale(f"a secret of {plan.app} changed").error()
    return found


def require(plan: SavedPlan, now: Plan) -> None:
    """Raise InvalidInputError where another plan would be made now: what was seen on a host changed."""
    then = {step.host: step for step in plan.steps}
    for step in now.steps:
        before = then.pop(step.host, None)
        if before is None:
            raise Stale(f"host {step.host} was not in it").error()
        if (before.action, before.previous) != (step.action, step.previous):
            raise Stale(
                f"host {step.host} ran {_short(before.previous)} and runs {_short(step.previous)}"
                if before.previous != step.previous
                else f"on host {step.host} it was {before.action} and would be {step.action}"
            ).error()
        if before.batch != step.batch:
            raise Stale(f"host {step.host} was in batch {before.batch + 1} and would be elsewhere").error()
    if then:
        raise Stale(f"host {next(iter(then))} is not there any more").error()


def _short(revision: str | None) -> str:
    return f"revision {revision[:8]}" if revision else "nothing"
