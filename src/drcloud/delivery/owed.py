"""What a deployment that was cut short still owes: the commands of an app that follow a switch."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.delivery.target import Target

CUT_SHORT = ("lost", "running")
# A step in these states says nothing of its host.
NOT_BEGUN = ("pending", "skipped")


@dataclass(frozen=True, slots=True)
class Owed:
    """``hosts`` were being switched when nobody went on; ``roll`` tells that the end was not reached."""

    hosts: frozenset[str] = frozenset()
    roll: bool = False


def read(store: Store, target: Target, deployment: str) -> Owed:
    """Return what deployments of the same revision left undone, right before this one.

    What has been run may be run again, for nobody can know: a command ends before the ledger says so.
    """
    each, once = target.hooks_of("after", "host"), target.hooks_of("after", "roll")
    if not each and not once:
        return Owed()
    with store.read() as session:
        before = _cut_short(session, target, deployment)
        states: dict[str, str] = {}
        for row in before:
            for step in row.steps:
                if step.state not in NOT_BEGUN:
                    states.setdefault(step.host.name, step.state)
    hosts = frozenset(host for host, state in states.items() if state == "claimed")
    return Owed(hosts if each else frozenset(), bool(once and before))


def _cut_short(session: Session, target: Target, deployment: str) -> list[Deployment]:
    """Return the deployments of this revision that nobody ended, newest first, up to any other one."""
    found = []
    mine = select(Deployment).where(
        Deployment.app_id == lookup.app(session, target.app).id,
        Deployment.environment_id == lookup.environment(session, target.env).id,
        Deployment.uid != deployment,
    )
    for row in session.scalars(mine.order_by(Deployment.id.desc())):
        if row.revision != target.revision or row.state not in CUT_SHORT:
            break
        found.append(row)
    return found
