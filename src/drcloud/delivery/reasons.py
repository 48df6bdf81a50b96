"""Why a host's revision is another one: what is different between two deployments, in words."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.operational import Deployment
from drcloud.cmdb.store import Store
from drcloud.delivery.plan import Plan, Step
from drcloud.delivery.target import Target


def explained(store: Store | None, target: Target, plan: Plan) -> Plan:
    """Return a plan whose replacements say what is different, as far as the ledger knows."""
    previous = {step.previous for step in plan.rolled if step.previous not in (None, target.revision)}
    if store is None or not previous:
        return plan
    with store.read() as session:
        words: dict[str | None, str] = {known: _difference(session, target, str(known)) for known in previous}
    return replace(plan, steps=tuple(_explained(step, words.get(step.previous)) for step in plan.steps))


def _explained(step: Step, words: str | None) -> Step:
    if step.action != "replace" or not words:
        return step
    return replace(step, reason=f"{step.reason}: {words}")


def _difference(session: Session, target: Target, revision: str) -> str:
    brought = (
        select(Deployment)
        .where(
            Deployment.app_id == lookup.app(session, target.app).id,
            Deployment.environment_id == lookup.environment(session, target.env).id,
            Deployment.revision == revision,
        )
        .order_by(Deployment.id.desc())
        .limit(1)
    )
    row = session.scalars(brought).one_or_none()
    if row is None:
        return ""
    known = (
        ("image", f"{row.tag} {_short(row.digest)}", f"{target.tag} {_short(target.digest)}")
        if row.digest != target.digest
        else None,
        ("specification", row.spec_version, target.spec_version)
        if row.spec_version != target.spec_version
        else None,
        ("configuration", row.config_version, target.config_version)
        if row.config_version != target.config_version
        else None,
    )
    told = [f"{what} changed ({old or 'none'} → {new or 'none'})" for what, old, new in filter(None, known)]
    return ", ".join(told) or "a secret changed"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:7]
