"""Runs: request -> ansible-runner -> events -> outcome, recorded in the runs table."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drcloud.exitcodes import ExitCode
from drcloud.runs import environment, events, inventory, process, target
from drcloud.runs.events import Event
from drcloud.runs.outcome import Failure, RunOutcome, Stop, Story
from drcloud.runs.request import RunRequest
from drcloud.runs.stopping import Control

if TYPE_CHECKING:
    from drcloud.cmdb.store import Store
    from drcloud.runs.ledger import Ledger

__all__ = ["Event", "ExitCode", "Failure", "RunOutcome", "RunRequest", "execute", "playbook"]

_DIRECTORY_PREFIX = "drcloud-run-"
EventHandler = Callable[[Event], None]


def execute(
    request: RunRequest,
    store: Store | None,
    *,
    on_event: EventHandler | None = None,
    timeout: float | None = None,
) -> RunOutcome:
    """Run a playbook to its end and say how it ended; never raise for what happens on hosts.

    With a store the run is recorded there; ``None`` runs unrecorded (before there is a CMDB).
    ``timeout`` is in seconds. The id of the run goes down as ``DRCLOUD_RUN_ID``. Raises
    ``InvalidInputError`` for a playbook or an inventory that does not exist.
    """
    from drcloud.runs import runner  # late, so that a callback plugin can import this package cheaply

    runner.check_installed()
    file = target.resolve(request.playbook)
    target.check_vars_files(request.vars_files)
    uid = str(uuid.uuid4())
    with tempfile.TemporaryDirectory(prefix=f"{_DIRECTORY_PREFIX}{uid}-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        sources = inventory.resolve(request.sources(), os.environ, directory)
        line = runner.command(request, file, sources, directory)
        env = _environment(uid, store, request.pass_env)
        attempt = _Attempt(uid, _ledger(store, uid), on_event, timeout)
        with attempt.control.signals():
            attempt.begin(request, directory)
            try:
                rc = runner.run(line, env, directory, on_event=attempt.take, control=attempt.control)
            except BaseException:  # a bug, here or in ansible-runner: leave nothing running behind it
                attempt.control.abandon()
                raise
            return attempt.end(rc)


def playbook(
    name: str,
    *,
    store: Store | None = None,
    on_event: EventHandler | None = None,
    timeout: float | None = None,
    **options: Any,
) -> RunOutcome:
    """Run a playbook by name; ``options`` are the fields of ``RunRequest``."""
    return execute(RunRequest(playbook=name, **options), store, on_event=on_event, timeout=timeout)


class _Attempt:
    """One execution while it lasts: what was seen, who must be told, and the way to stop it."""

    def __init__(
        self, uid: str, ledger: Ledger | None, on_event: EventHandler | None, timeout: float | None
    ) -> None:
        self._uid = uid
        self._ledger = ledger
        self._on_event = on_event
        self._story = Story()
        self._trouble: Exception | None = None
        self._started_at = datetime.now(UTC)
        self.control = Control(lambda: process.with_variable(os.getpid(), environment.RUN_ID, uid), timeout)

    def begin(self, request: RunRequest, directory: Path) -> None:
        if self._ledger:
            self._ledger.begin(request, request.playbook, directory)

    def take(self, raw: Mapping[str, Any]) -> None:
        event = events.read(raw)
        if event is None:
            return
        self._story.add(event)
        if self._story.prompt is not None:
            self.control.stop(Stop.PROMPT)
        if self._ledger:
            self._ledger.add(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        """Show an event. Trouble with showing must not stop a roll half-way; it is raised at the end."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except OSError:  # the reader has left
            self._on_event = None
        except Exception as error:
            self._on_event = None
            self._trouble = error

    def end(self, rc: int | None) -> RunOutcome:
        self.control.clean()
        code, message = self._story.verdict(rc, self.control.reason)
        outcome = RunOutcome(
            uid=self._uid,
            exit_code=code,
            message=message,
            started_at=self._started_at,
            ended_at=datetime.now(UTC),
            failures=self._story.failures(),
            stats=self._story.stats(),
        )
        if self._ledger:
            self._ledger.finish(outcome)
        if self._trouble is not None:
            raise self._trouble
        return outcome


def _environment(uid: str, store: Store | None, wanted: Sequence[str]) -> dict[str, str]:
    from drcloud.cmdb import actor

    added = {environment.RUN_ID: uid, environment.PARENT: str(os.getpid()), "DRCLOUD_ACTOR": actor.current()}
    if store is not None:
        added["DRCLOUD_CMDB_URL"] = store.url
    return environment.compose(os.environ, added, wanted=_references(store).union(wanted))


def _references(store: Store | None) -> set[str]:
    """Return the variables that the CMDB refers to as ``env:NAME``: the play resolves them."""
    if store is None:
        return set()
    from drcloud.runs import references

    return references.names(store)


def _ledger(store: Store | None, uid: str) -> Ledger | None:
    if store is None:
        return None
    from drcloud.runs import ledger

    ledger.mark_lost(store)
    return ledger.Ledger(store, uid)
