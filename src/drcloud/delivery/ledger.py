"""The deployment ledger: each host step is one row, claimed and committed by compare-and-set.

A crash leaves a ledger that says how far it got. Whoever holds the newer fencing token may go on; an
older one is refused by the database here and by the fence on the host.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Select, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from drcloud.cmdb import actor as actors
from drcloud.cmdb import lookup, outbox
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import Deployment, DeploymentStep
from drcloud.cmdb.store import Store
from drcloud.delivery.plan import Plan
from drcloud.errors import LockedError

if TYPE_CHECKING:
    from drcloud.delivery.target import Target

StepState = Literal["done", "failed", "reverted", "unreachable", "skipped", "unchanged", "pending"]
DeploymentState = Literal["succeeded", "failed", "reverted", "lost", "nothing-to-do"]
BAD = ("failed", "reverted", "unreachable")


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as the ledger has it."""

    host: str
    position: int
    batch: int
    state: str
    slot: str | None
    previous: str | None
    detail: dict[str, Any]

    @property
    def put_back(self) -> bool:
        """Tell whether nothing was wrong here, and it went back because of another host."""
        return bool(self.detail.get("put_back"))


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A deployment as the command shows it."""

    uid: str
    tag: str
    digest: str
    revision: str
    state: str
    reason: str
    steps: tuple[StepRow, ...]

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def open_deployment(
    store: Store, target: Target, run: str | None, uid: str | None = None, kind: str = "deploy"
) -> str:
    """Write a deployment with one pending step per host; return its id.

    Deployments of the same app and environment that still count as running are marked lost: the lock
    was free, so nobody works on them any more.
    """
    uid = uid or str(uuid.uuid4())
    with store.operate() as session:
        _lose_others(session, target, uid)
        row = Deployment(
            uid=uid,
            app=lookup.app(session, target.app),
            environment=lookup.environment(session, target.env),
            tag=target.tag,
            digest=target.digest,
            revision=target.revision,
            spec_version=target.spec_version,
            config_version=target.config_version,
            plan={"kind": kind},
            actor=actors.current(),
            run_uid=run,
        )
        row.steps = [
            DeploymentStep(host=lookup.host(session, host), position=position, batch=-1)
            for position, host in enumerate(target.hosts)
        ]
        session.add(row)
        outbox.publish(session, _subject(target.app, target.env), "deployment.started", _told(row))
    return uid


def write_plan(store: Store, uid: str, plan: Plan) -> None:
    """Put the plan into the ledger: order, batches, what each host ran before, and why."""
    with store.operate() as session:
        row = _deployment(session, uid)
        row.plan = {**plan.as_document(), "kind": row.plan.get("kind", "deploy")}
        steps = {step.host.name: step for step in row.steps}
        for planned in plan.steps:
            step = steps[planned.host]
            step.position, step.batch = planned.position, planned.batch
            step.previous_revision = planned.previous
            step.detail = {"reason": planned.reason}
            if planned.action == "unchanged":
                step.state = "unchanged"


def claim(
    store: Store, uid: str, host: str, token: int, expected: tuple[StepState, ...] = ("pending",)
) -> None:
    """Claim a host's step; LockedError where it is not as expected or a newer token was here."""
    with store.operate() as session:
        won = _set(session, uid, host, token, expected, {"state": "claimed"})
        if not won:
            raise LockedError(
                f"the step of host {host} in deployment {uid} is not free: another controller took it"
            )


def commit(
    store: Store,
    uid: str,
    host: str,
    token: int,
    state: StepState,
    detail: Mapping[str, Any],
    slot: str | None = None,
) -> None:
    """Record how a host's step ended; LockedError where a newer token was here."""
    values = {"state": state, "detail": dict(detail), "slot": slot}
    with store.operate() as session:
        if not _set(session, uid, host, token, ("pending", "claimed"), values):
            raise LockedError(
                f"the step of host {host} in deployment {uid} was taken over by another controller"
            )


def fail(
    store: Store,
    uid: str,
    host: str,
    token: int,
    state: StepState,
    detail: Mapping[str, Any],
    expected: tuple[StepState, ...] = ("done",),
) -> bool:
    """Record that a host which was done turned out not to be; return whether its step was as expected."""
    with store.operate() as session:
        return _set(session, uid, host, token, expected, {"state": state, "detail": dict(detail)})


def steps(store: Store, uid: str) -> list[StepRow]:
    """Return the steps of a deployment in order."""
    with store.read() as session:
        return _step_rows(_deployment(session, uid))


def of_run(store: Store, run: str) -> DeploymentRow | None:
    """Return the deployment that a run made, or None where it did not get that far."""
    with store.read() as session:
        row = session.scalars(select(Deployment).where(Deployment.run_uid == run)).one_or_none()
        if row is None:
            return None
        found = tuple(_step_rows(row))
        return DeploymentRow(row.uid, row.tag, row.digest, row.revision, row.state, row.reason, found)


def _step_rows(row: Deployment) -> list[StepRow]:
    return [
        StepRow(s.host.name, s.position, s.batch, s.state, s.slot, s.previous_revision, dict(s.detail))
        for s in row.steps
    ]


def close(store: Store, uid: str, state: DeploymentState, reason: str) -> None:
    """End a deployment; steps that nobody came to are skipped. An ended one stays as it is."""
    with store.operate() as session:
        row = _deployment(session, uid)
        if row.state != "running":
            return
        row.state, row.reason, row.ended_at = state, reason, now()
        for step in row.steps:
            if step.state == "pending":
                step.state = "skipped"
        subject = _subject(row.app.name, row.environment.name)
        outbox.publish(session, subject, f"deployment.{state}", _told(row))


def stable(store: Store, app: str, env: str) -> str | None:
    """Return the revision of the last deployment that succeeded, or None before the first."""
    with store.read() as session:
        row = session.scalars(_latest(session, app, env, ("succeeded", "nothing-to-do"))).one_or_none()
        return row.revision if row else None


def _latest(session: Session, app: str, env: str, states: tuple[str, ...]) -> Select[Deployment]:
    found = select(Deployment).where(
        Deployment.app_id == lookup.app(session, app).id,
        Deployment.environment_id == lookup.environment(session, env).id,
        Deployment.state.in_(states),
    )
    return found.order_by(Deployment.id.desc()).limit(1)


def _deployment(session: Session, uid: str) -> Deployment:
    return session.scalars(select(Deployment).where(Deployment.uid == uid)).one()


def _set(
    session: Session, uid: str, host: str, token: int, expected: tuple[str, ...], values: dict[str, Any]
) -> bool:
    deployment = (
        select(Deployment.id).where(Deployment.uid == uid, Deployment.state == "running").scalar_subquery()
    )
    host_id = select(Host.id).where(Host.name == host).scalar_subquery()
    result = session.execute(
        update(DeploymentStep)
        .where(
            DeploymentStep.deployment_id == deployment,
            DeploymentStep.host_id == host_id,
            DeploymentStep.state.in_(expected),
            DeploymentStep.token <= token,
        )
        .values(token=token, changed_at=now(), **values),
        execution_options={"synchronize_session": False},
    )
    return isinstance(result, CursorResult) and result.rowcount == 1


def _lose_others(session: Session, target: Target, uid: str) -> None:
    rows = session.scalars(
        select(Deployment).where(
            Deployment.app_id == lookup.app(session, target.app).id,
            Deployment.environment_id == lookup.environment(session, target.env).id,
            Deployment.state == "running",
            Deployment.uid != uid,
        )
    )
    for row in rows:
        row.state, row.ended_at = "lost", now()
        row.reason = f"its controller ended without a word; deployment {uid} continues from what it left"


def _subject(app: str, env: str) -> str:
    return f"app:{app}@{env}"


def _told(row: Deployment) -> dict[str, Any]:
    return {
        "deployment": row.uid,
        "tag": row.tag,
        "digest": row.digest,
        "revision": row.revision,
        "state": row.state or "running",
        "reason": row.reason or "",
        "actor": row.actor,
    }
