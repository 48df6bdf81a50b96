"""Stable revisions: what a deployment completed healthy on all its hosts, and which of them to go back to.

A rollback undoes: after it, what it left is no way back any more, so that going back twice goes further
back and never forth again. What is asked for by its tag may be any stable revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from drcloud.cmdb import lookup
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError

STABLE = ("succeeded", "nothing-to-do")
RESUMABLE = ("running", "lost", "failed")
ROLLBACK = "rollback"
DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a deployment rolled, as the ledger has it."""

    deployment: str
    kind: str
    tag: str
    digest: str
    revision: str
    spec_version: int
    state: str
    config_version: int = 0

    @property
    def is_stable(self) -> bool:
        """Tell whether it completed healthy on all its hosts."""
        return self.state in STABLE


def recorded(store: Store, app: str, env: str) -> list[Recorded]:
    """Return all deployments of an app in an environment, oldest first."""
    with store.read() as session:
        rows = session.scalars(
            select(Deployment)
            .where(
                Deployment.app_id == lookup.app(session, app).id,
                Deployment.environment_id == lookup.environment(session, env).id,
            )
            .order_by(Deployment.id)
        )
        return [_recorded(row) for row in rows]


def _recorded(row: Deployment) -> Recorded:
    kind = row.plan.get("kind", DEPLOY)
    return Recorded(
        row.uid, kind, row.tag, row.digest, row.revision, row.spec_version, row.state, row.config_version
    )


def standing(found: Sequence[Recorded]) -> list[Recorded]:
    """Return the stable revisions that nobody went back from, oldest first; the last is the present one."""
    stack: list[Recorded] = []
    for item in found:
        if not item.is_stable:
            continue
        if item.kind == ROLLBACK and any(under.revision == item.revision for under in stack):
            while stack[-1].revision != item.revision:
                stack.pop()
        if stack and stack[-1].revision == item.revision:
            stack[-1] = item
        else:
            stack.append(item)
    return stack


def present(found: Sequence[Recorded], what: str) -> Recorded:
    """Return the stable revision that nobody went back from; NotFoundError where there is none."""
    if stack := standing(found):
        return stack[-1]
    raise NotFoundError(f"no deployment of {what} succeeded yet: deploy a tag")


def back(found: Sequence[Recorded], what: str, tag: str | None = None) -> Recorded:
    """Return what a rollback goes back to; NotFoundError where there is nothing.

    Without ``tag``: the last stable revision, or the one before it where the last is what was rolled last.
    With it: the newest stable revision of that tag which is not the present one. ``what`` names the app and
    environment in the error.
    """
    stack = standing(found)
    if tag is not None:
        return _of_tag(found, stack, what, tag)
    if stack and found[-1].revision != stack[-1].revision:
        return stack[-1]
    if len(stack) < len(("present", "before")):
        raise NotFoundError(
            f"{what} has no stable revision to go back to: "
            + ("it was rolled to one revision only" if stack else "no deployment of it succeeded yet")
        )
    return stack[-2]


def _of_tag(found: Sequence[Recorded], stack: Sequence[Recorded], what: str, tag: str) -> Recorded:
    present = stack[-1].revision if stack and found[-1].revision == stack[-1].revision else ""
    stable = [item for item in found if item.is_stable]
    of_tag = [item for item in stable if item.tag == tag]
    if not of_tag:
        tags = ", ".join(dict.fromkeys(item.tag for item in reversed(stable))) or "none at all"
        raise NotFoundError(f"{what} never ran {tag} to the end: its stable tags are {tags}")
    others = [item for item in of_tag if item.revision != present]
    return (others or of_tag)[-1]


def of_host(found: Sequence[Recorded], previous: str | None, failed: str) -> Recorded | None:
    """Return what one host goes back to after the revision ``failed``, or None where there is nothing.

    That is what it ran before if that was stable, else the last stable revision there is. A host that ran
    nothing before has nothing to go back to.
    """
    if previous is None:
        return None
    stable = [item for item in found if item.is_stable and item.revision != failed]
    own = [item for item in stable if item.revision == previous]
    last = [item for item in standing(found) if item.revision != failed]
    return next(reversed(own or last), None)


def unfinished(found: Sequence[Recorded], what: str) -> Recorded:
    """Return the deployment that a resume continues; NotFoundError where none is open."""
    if not found:
        raise NotFoundError(f"{what} was never deployed: there is nothing to resume")
    last = found[-1]
    if last.state in RESUMABLE or last.is_stable:
        return last
    raise NotFoundError(
        f"the last deployment of {what} was put back on every host: there is nothing to resume; "
        "deploy again to try anew"
    )
