"""What was deployed: deployments as the ledger has them, newest first, and one of them host by host.

Only reads. Who writes the ledger is ``drcloud.delivery.ledger``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from drcloud.cmdb import leases, lookup
from drcloud.cmdb.declared import App, Environment
from drcloud.cmdb.operational import STEP_STATES, Deployment, DeploymentStep
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

# So many characters of an id are enough to name a deployment, as with commits.
SHORTEST = 4
# What a step is about, beside the reason: these parts of its detail are shown apart.
TOLD = ("reason", "kind", "logs", "times")


@dataclass(frozen=True, slots=True)
class Step:
    """One host of a deployment. ``previous`` is the revision before; ``times`` are in seconds."""

    host: str
    batch: int
    position: int
    state: str
    slot: str | None
    previous: str | None
    changed_at: datetime
    reason: str
    kind: str | None
    logs: tuple[str, ...]
    times: Mapping[str, float]
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A deployment; ``hosts`` counts its steps by state, ``seconds`` is how long it took.

    ``abandoned`` is a deployment that counts as running and whose lock nobody holds any more: its
    controller died, and the next deploy of the app will mark it lost.
    """

    uid: str
    app: str
    env: str
    tag: str
    digest: str
    revision: str
    spec_version: int
    state: str
    abandoned: bool
    reason: str
    actor: str
    run: str | None
    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    hosts: Mapping[str, int]

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        return _plain(asdict(self))


@dataclass(frozen=True, slots=True)
class Told:
    """One deployment and its steps, in the order of the plan."""

    entry: Entry
    steps: tuple[Step, ...]

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        return {**self.entry.as_document(), "steps": [_plain(asdict(step)) for step in self.steps]}


def entries(
    store: Store, app: str | None = None, env: str | None = None, limit: int | None = None
) -> list[Entry]:
    """Return deployments, newest first; NotFoundError for an app or environment that is not known."""
    held = _held(store)
    with store.read() as session:
        rows = session.execute(_chosen(session, app, env, limit)).all()
        counts = _counts(session, [row.id for row, _app, _env in rows])
        return [_entry(row, in_app, in_env, counts.get(row.id, {}), held) for row, in_app, in_env in rows]


def one(store: Store, uid: str) -> Told:
    """Return a deployment by its id, or by so much of it that it is the only one.

    NotFoundError where there is none, InvalidInputError where several begin like this.
    """
    held = _held(store)
    with store.read() as session:
        row = _named(session, uid)
        steps = tuple(_step(step) for step in sorted(row.steps, key=_order))
        counts = Counter(step.state for step in steps)
        return Told(_entry(row, row.app.name, row.environment.name, counts, held), steps)


def _order(step: DeploymentStep) -> tuple[bool, int, int]:
    """Sort by the plan; what was never planned, or not to be rolled, comes last."""
    return step.batch < 0, step.batch, step.position


def _chosen(
    session: Session, app: str | None, env: str | None, limit: int | None
) -> Select[Deployment, str, str]:
    query = select(Deployment, App.name, Environment.name).join(Deployment.app).join(Deployment.environment)
    if app is not None:
        query = query.where(Deployment.app_id == lookup.app(session, app).id)
    if env is not None:
        query = query.where(Deployment.environment_id == lookup.environment(session, env).id)
    return query.order_by(Deployment.id.desc()).limit(limit)


def _counts(session: Session, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    columns = (DeploymentStep.deployment_id, DeploymentStep.state)
    query = select(*columns, func.count()).where(DeploymentStep.deployment_id.in_(ids)).group_by(*columns)
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for deployment, state, count in session.execute(query):
        found[deployment][state] = count
    return found


def _named(session: Session, uid: str) -> Deployment:
    wanted = uid.strip().lower()
    if len(wanted) < SHORTEST:
        raise InvalidInputError(f"{uid!r} names no deployment: give at least {SHORTEST} characters of its id")
    query = select(Deployment).options(selectinload(Deployment.steps).joinedload(DeploymentStep.host))
    begins = Deployment.uid.startswith(wanted, autoescape=True)
    rows = session.scalars(query.where(begins).order_by(Deployment.id.desc()).limit(2)).all()
    if not rows:
        raise NotFoundError(f"there is no deployment {uid!r}: `drcloud history` lists those there are")
    if len(rows) > 1:
        raise InvalidInputError(f"several deployments begin with {uid}: give more of the id")
    return rows[0]


def _held(store: Store) -> frozenset[tuple[str, str]]:
    """Return who holds which lock now: (name, holder)."""
    return frozenset((lease.name, lease.holder) for lease in leases.held(store))


def _entry(
    row: Deployment, app: str, env: str, counts: Mapping[str, int], held: Iterable[tuple[str, str]]
) -> Entry:
    lock = f"app:{app}@{env}"
    return Entry(
        uid=row.uid,
        app=app,
        env=env,
        tag=row.tag,
        digest=row.digest,
        revision=row.revision,
        spec_version=row.spec_version,
        state=row.state,
        abandoned=row.state == "running" and not {(lock, row.uid), (lock, row.run_uid)} & set(held),
        reason=row.reason,
        actor=row.actor,
        run=row.run_uid,
        started_at=row.started_at,
        ended_at=row.ended_at,
        seconds=round((row.ended_at - row.started_at).total_seconds(), 1) if row.ended_at else None,
        hosts={state: counts[state] for state in STEP_STATES if counts.get(state)},
    )


def _step(row: DeploymentStep) -> Step:
    detail = dict(row.detail)
    return Step(
        host=row.host.name,
        batch=row.batch,
        position=row.position,
        state=row.state,
        slot=row.slot,
        previous=row.previous_revision,
        changed_at=row.changed_at,
        reason=str(detail.get("reason", "")),
        kind=detail.get("kind"),
        logs=tuple(str(line) for line in detail.get("logs") or ()),
        times=dict(detail.get("times") or {}),
        detail={name: value for name, value in detail.items() if name not in TOLD},
    )


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in document.items()
    }
