"""The runs table: a row per run, its events in batches, and an honest word about runs that were lost."""

from __future__ import annotations

import contextlib
import queue
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from drcloud.cmdb import actor
from drcloud.cmdb.base import now
from drcloud.cmdb.operational import Run, RunEvent
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError
from drcloud.exitcodes import ExitCode
from drcloud.runs import events, process
from drcloud.runs.events import Event
from drcloud.runs.outcome import RunOutcome
from drcloud.runs.request import RunRequest

BATCH = 500
FLUSH_SECONDS = 1.0
DIRECTORY_PREFIX = "drcloud-run-"
_HOST_LENGTH, _TASK_LENGTH = 64, 255


class Ledger:
    """Records one run. Writing happens in a thread of its own: a slow disk must not slow the play."""

    def __init__(self, store: Store, uid: str) -> None:
        """Record the run ``uid`` in ``store``."""
        self._store = store
        self._uid = uid
        self._row_id = 0
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._dropped = 0
        self._writer = threading.Thread(target=self._write_all, name="drcloud-ledger", daemon=True)

    def begin(self, request: RunRequest, playbook: str, directory: Path) -> None:
        """Write the row of the run, which says who runs it, before anything happens."""
        me = process.this()
        owner = {
            "machine": process.machine(),
            "pid": me.pid,
            "start": me.start,
            "directory": str(directory),
        }
        with self._store.operate() as session:
            row = Run(
                uid=self._uid,
                playbook=playbook,
                request=request.record() | {"owner": owner},
                state="running",
                actor=actor.current(),
                source=request.source,
                started_at=now(),
            )
            session.add(row)
            session.flush()
            self._row_id = row.id
        self._writer.start()

    def add(self, event: Event) -> None:
        """Note an event; it is written soon."""
        if event.type in events.STORED:
            self._waiting.put(event)

    def finish(self, outcome: RunOutcome) -> None:
        """Write what is left and how the run ended."""
        self._waiting.put(None)
        self._writer.join()
        with self._store.operate() as session:
            row = session.scalars(select(Run).where(Run.id == self._row_id)).one()
            row.state = outcome.state
            row.exit_code = int(outcome.exit_code)
            row.ended_at = outcome.ended_at
            row.summary = outcome.document() | {"events_dropped": self._dropped}

    def _write_all(self) -> None:
        going = True
        while going:
            batch, going = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> tuple[list[Event], bool]:
        """Wait for an event, then take what comes within a moment; the flag tells whether to go on."""
        batch: list[Event] = []
        with contextlib.suppress(queue.Empty):
            event = self._waiting.get()
            while event is not None:
                batch.append(event)
                if len(batch) >= BATCH:
                    return batch, True
                event = self._waiting.get(timeout=FLUSH_SECONDS)
            return batch, False
        return batch, True

    def _write(self, batch: list[Event]) -> None:
        rows = [_row(self._row_id, event) for event in batch]
        try:
            with self._store.operate() as session:
                session.execute(insert(RunEvent), rows)
        except (CmdbError, SQLAlchemyError):
            self._dropped += len(batch)  # the run itself matters more; its row tells how many are missing


def _row(run_id: int, event: Event) -> dict[str, Any]:
    data = {"play": event.play} | dict(event.data)
    return {
        "run_id": run_id,
        "counter": event.counter,
        "at": event.at,
        "type": event.type,
        "host": event.host[:_HOST_LENGTH] if event.host else None,
        "task": event.task[:_TASK_LENGTH] if event.task else None,
        "data": data,
    }


def mark_lost(store: Store) -> list[str]:
    """Mark the runs of this machine whose process is gone as lost; return their ids.

    Runs of other machines are left alone: from here nobody can tell whether they live.
    """
    with store.operate() as session:
        lost = [row for row in session.scalars(select(Run).where(Run.state == "running")) if gone(row)]
        for row in lost:
            row.state = "lost"
            row.exit_code = int(ExitCode.LOST)
            row.ended_at = now()
            row.summary = {"message": "the process that ran it ended without a word; see its events"}
            _sweep(row.request.get("owner", {}))
        return [row.uid for row in lost]


def gone(row: Run) -> bool:
    """Tell whether the process of a run on this machine has ended without a word."""
    owner: Mapping[str, Any] = row.request.get("owner", {})
    if owner.get("machine") != process.machine():
        return False
    found = process.find(int(owner["pid"]))
    return found is None or found.start != owner["start"]


def _sweep(owner: Mapping[str, Any]) -> None:
    """Remove the private directory of a lost run, if it is one of ours."""
    directory = Path(str(owner.get("directory", "")))
    if directory.name.startswith(DIRECTORY_PREFIX) and directory.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(directory, ignore_errors=True)
