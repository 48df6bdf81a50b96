"""The newest runs, as the runs table tells of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from drcloud.cmdb.operational import Run
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode
from drcloud.runs import ledger


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run; ``exit_code`` and ``ended_at`` are None while it lasts."""

    run: str
    playbook: str
    limit: str | None
    check: bool
    state: str
    exit_code: int | None
    actor: str
    source: str
    started_at: datetime | None
    ended_at: datetime | None
    message: str

    def as_document(self) -> dict[str, Any]:
        """Return the run as plain data."""
        times = {"started_at": self.started_at, "ended_at": self.ended_at}
        return asdict(self) | {name: at and at.isoformat() for name, at in times.items()}


def read(store: Store, state: str | None = None, limit: int | None = None) -> list[RunRow]:
    """Return the runs, the newest first; one whose process is gone from this machine is told as lost."""
    query = select(Run).order_by(Run.id.desc())
    if state is not None and state not in ("running", "lost"):
        query = query.where(Run.state == state).limit(limit)
    elif state is None:
        query = query.limit(limit)
    else:
        # Which of them are still running only their processes tell.
        query = query.where(Run.state.in_(("running", "lost")))
    with store.read() as session:
        rows = [_row(one) for one in session.scalars(query)]
    return [one for one in rows if state in (None, one.state)][:limit]


def _row(run: Run) -> RunRow:
    lost = run.state == "running" and ledger.gone(run)
    return RunRow(
        run=run.uid,
        playbook=run.playbook,
        limit=run.request.get("limit"),
        check=bool(run.request.get("check")),
        state="lost" if lost else run.state,
        exit_code=int(ExitCode.LOST) if lost else run.exit_code,
        actor=run.actor,
        source=run.source,
        started_at=run.started_at,
        ended_at=run.ended_at,
        message=str((run.summary or {}).get("message", "")),
    )
