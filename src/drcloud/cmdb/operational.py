"""Operational tables: what was seen and done. Own retention, not in ``change_log``."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from drcloud.cmdb.base import Base, Document, JsonDocument, now
from drcloud.cmdb.declared import App, Environment, Host, one_of

DEPLOYMENT_STATES = ("running", "succeeded", "failed", "reverted", "lost", "nothing-to-do")
STEP_STATES = ("pending", "claimed", "done", "unchanged", "failed", "reverted", "unreachable", "skipped")
RUN_STATES = ("queued", "running", "succeeded", "failed", "cancelled", "timed-out", "lost")


class Sequence(Base):
    """Named counters. ``declared`` orders changes by commit; ``observed`` moves with observations."""

    __tablename__ = "sequence"
    name: Mapped[str] = mapped_column(String(32), unique=True)
    value: Mapped[int] = mapped_column(default=0)


class ChangeLog(Base):
    """One declared write: who, why, ticket, before and after. Append-only."""

    __tablename__ = "change_log"
    seq: Mapped[int] = mapped_column(unique=True)
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(Text)
    ticket: Mapped[str | None] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32), index=True)
    key: Mapped[str] = mapped_column(String(512), index=True)
    action: Mapped[str] = mapped_column(String(8))
    before: Mapped[Document | None] = mapped_column(JsonDocument)
    after: Mapped[Document | None] = mapped_column(JsonDocument)


class HostFact(Base):
    """What a host said of itself when it was last provisioned or observed."""

    __tablename__ = "host_fact"
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), unique=True)
    observed_at: Mapped[datetime] = mapped_column(default=now)
    facts: Mapped[Document] = mapped_column(JsonDocument)
    host: Mapped[Host] = relationship()


class Observation(Base):
    """When the containers of a host were last looked at, and by whom; it may have had none."""

    __tablename__ = "observation"
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), unique=True)
    observed_at: Mapped[datetime] = mapped_column(default=now)
    source: Mapped[str] = mapped_column(String(64))
    host: Mapped[Host] = relationship()


class Instance(Base):
    """A container of ours observed on a host; ``source`` says who saw it, newest wins."""

    __tablename__ = "instance"
    __table_args__ = (UniqueConstraint("host_id", "name"),)
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    app: Mapped[str] = mapped_column(String(64))
    env: Mapped[str] = mapped_column(String(32))
    slot: Mapped[str] = mapped_column(String(1))
    tag: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(71))
    revision: Mapped[str] = mapped_column(String(64))
    deployment: Mapped[str] = mapped_column(String(36))
    status: Mapped[str] = mapped_column(String(32))
    health: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime | None]
    observed_at: Mapped[datetime] = mapped_column(default=now)
    source: Mapped[str] = mapped_column(String(64))
    host: Mapped[Host] = relationship()


class Deployment(Base):
    """One rollout of a revision to a placement: an ordered plan of host steps and their ledger."""

    __tablename__ = "deployment"
    __table_args__ = (CheckConstraint(one_of("state", DEPLOYMENT_STATES), name="state"),)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    tag: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(71))
    revision: Mapped[str] = mapped_column(String(64))
    spec_version: Mapped[int]
    config_version: Mapped[int] = mapped_column(default=0)
    plan: Mapped[Document] = mapped_column(JsonDocument)
    state: Mapped[str] = mapped_column(String(16), default="running")
    reason: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(String(128))
    run_uid: Mapped[str | None] = mapped_column(String(36))
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    app: Mapped[App] = relationship()
    environment: Mapped[Environment] = relationship()
    steps: Mapped[list[DeploymentStep]] = relationship(
        cascade="all, delete-orphan", order_by="DeploymentStep.position"
    )


class DeploymentStep(Base):
    """One host of a deployment: where it stands, what it ran before, what was seen."""

    __tablename__ = "deployment_step"
    __table_args__ = (
        UniqueConstraint("deployment_id", "host_id"),
        CheckConstraint(one_of("state", STEP_STATES), name="state"),
    )
    deployment_id: Mapped[int] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    position: Mapped[int]
    batch: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="pending")
    token: Mapped[int] = mapped_column(default=0)
    previous_revision: Mapped[str | None] = mapped_column(String(64))
    slot: Mapped[str | None] = mapped_column(String(1))
    detail: Mapped[Document] = mapped_column(JsonDocument, default=dict)
    changed_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    host: Mapped[Host] = relationship()


class Lease(Base):
    """A named lock with holder, expiry and a fencing token that only grows."""

    __tablename__ = "lease"
    __table_args__ = (UniqueConstraint("name", "holder"),)
    name: Mapped[str] = mapped_column(String(255), index=True)
    holder: Mapped[str] = mapped_column(String(128))
    exclusive: Mapped[bool]
    token: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(255), default="")
    acquired_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class Outbox(Base):
    """An event, written in the transaction of the change it tells of; in order per subject."""

    __tablename__ = "outbox"
    at: Mapped[datetime] = mapped_column(default=now)
    subject: Mapped[str] = mapped_column(String(255), index=True)
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[Document] = mapped_column(JsonDocument)
    delivered_at: Mapped[datetime | None]


class Run(Base):
    """One execution of one playbook, from request to outcome."""

    __tablename__ = "run"
    __table_args__ = (CheckConstraint(one_of("state", RUN_STATES), name="state"),)
    uid: Mapped[str] = mapped_column(String(36), unique=True)
    playbook: Mapped[str] = mapped_column(String(512))
    request: Mapped[Document] = mapped_column(JsonDocument)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    exit_code: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(128))
    source: Mapped[str] = mapped_column(String(64), default="cli")
    requested_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    summary: Mapped[Document] = mapped_column(JsonDocument, default=dict)


class RunEvent(Base):
    """One event of a run as ansible-runner told it, without secrets."""

    __tablename__ = "run_event"
    __table_args__ = (UniqueConstraint("run_id", "counter"),)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    counter: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(64))
    host: Mapped[str | None] = mapped_column(String(64))
    task: Mapped[str | None] = mapped_column(String(255))
    data: Mapped[Document] = mapped_column(JsonDocument)


class Evidence(Base):
    """What a host looked like at one moment; compressed and stored once per content."""

    __tablename__ = "evidence"
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class EvidenceSeen(Base):
    """That a host looked like this evidence at a time, in a run."""

    __tablename__ = "evidence_seen"
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    evidence_id: Mapped[int] = mapped_column(ForeignKey("evidence.id"))
    collected_at: Mapped[datetime] = mapped_column(default=now)
    run_uid: Mapped[str | None] = mapped_column(String(36))


class Finding(Base):
    """A control's result on one object; the fingerprint is stable, so new, fixed and regressed differ."""

    __tablename__ = "finding"
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    control: Mapped[str] = mapped_column(String(64), index=True)
    host: Mapped[str] = mapped_column(String(64), index=True)
    object: Mapped[str] = mapped_column(String(255))
    severity: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)
    first_seen: Mapped[datetime] = mapped_column(default=now)
    last_seen: Mapped[datetime] = mapped_column(default=now)
    fixed_at: Mapped[datetime | None]
