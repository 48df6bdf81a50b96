"""Live progress of a run: rich on a terminal, plain lines in a log; fed with events."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from drcloud.runs import events
from drcloud.runs.events import Event
from drcloud.runs.lines import Batches, Tally, clock, failure

QUIET_SECONDS = 20.0
# What ansible-playbook prints that is worth showing with --diff, and with --verbose.
NOTHING: frozenset[str] = frozenset()
DIFFS = frozenset({events.TEXT, events.DIFF})
RESULTS = DIFFS | events.RESULTS
_WORDS = {
    events.OK: "ok",
    events.SKIPPED: "skipped",
    events.FAILED: "failed",
    events.UNREACHABLE: "unreachable",
}


class Screen(Console):
    """A console whose reader may leave (``head``, ``less``): the run goes on, in silence."""

    def on_broken_pipe(self) -> None:
        """Write to nobody from now on; rich would end the program in the middle of a roll."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Watcher(Protocol):
    """Something that is told every event of a run."""

    def __call__(self, event: Event) -> None:
        """Take in one event."""


class Progress:
    """Turns events into lines: one per finished task, one per host that failed."""

    def __init__(self, console: Console, *, details: frozenset[str] = NOTHING) -> None:
        """Write to ``console``; also what ansible-playbook prints for the types of event in ``details``."""
        self._console = console
        self._details = details
        self._batches = Batches()
        self._began = time.monotonic()
        self._spoke = self._began
        self._lock = threading.RLock()
        self.task: Tally | None = None

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        with self._lock:
            if event.type in self._details and event.text.strip():
                self._print(_printed(event), "dim")
            if event.type == events.PLAY_START:
                self._end_task()
                self._print(self._batches.title(str(event.data["name"])), "bold")
            elif event.type == events.TASK_START:
                self._end_task()
                self.task = Tally(event.task or "?", self._elapsed())
            elif event.type == events.STATS:
                self._end_task()
            elif event.host and self.task and event.type != events.DIFF:
                self._host(self.task, event.host, event)

    def now(self) -> str:
        """Return what goes on at this moment."""
        task = self.task
        what = f"{task.name}  {task.progress()}" if task else "…"
        return f"{clock(self._elapsed()):>4}  {what}"

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def remind(self) -> None:
        """Say in a log that a long task is still going on, if nothing was said for a while."""
        with self._lock:
            if self.task and time.monotonic() - self._spoke >= QUIET_SECONDS:
                self._print(
                    f"{self.task.head()}  {self.task.progress()} after {clock(self._elapsed())}", "dim"
                )

    def _host(self, task: Tally, host: str, event: Event) -> None:
        if event.type == events.HOST_START:
            task.begin(host)
            return
        word = _word(event)
        task.end(host, word)
        if word in ("failed", "unreachable"):
            self._print(failure(host, word, f"{task.name}: {event.data.get('msg', '')}"), "red")

    def _end_task(self) -> None:
        task, self.task = self.task, None
        if task and not task.silent:
            self._print(task.line(), "red" if task.bad else "yellow" if task.changed else "green")

    def _print(self, line: str, style: str) -> None:
        self._spoke = time.monotonic()
        self._console.print(Text(line, style=style), soft_wrap=True)


def _printed(event: Event) -> str:
    text = event.text.strip("\n")
    return f"      {event.host}\n{text}" if event.type == events.DIFF else text


def _word(event: Event) -> str:
    if event.type == events.FAILED and event.data.get("ignored"):
        return "ignored"
    if event.type == events.OK and event.data.get("changed"):
        return "changed"
    return _WORDS[event.type]


class _Now:
    """What the live line shows at this moment."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._spinner = Spinner("dots")

    def __rich__(self) -> Spinner:
        self._spinner.update(text=Text(self._progress.now(), style="cyan", no_wrap=True, overflow="ellipsis"))
        return self._spinner


@contextlib.contextmanager
def shown(console: Console, *, details: frozenset[str] = NOTHING) -> Iterator[Watcher]:
    """Show the progress of a run on ``console`` while the block lasts."""
    progress = Progress(console, details=details)
    if console.is_terminal:
        with Live(_Now(progress), console=console, transient=True, refresh_per_second=8):
            yield progress
        return
    done = threading.Event()
    reminder = threading.Thread(target=_remind, args=(progress, done), daemon=True)
    reminder.start()
    try:
        yield progress
    finally:
        done.set()
        reminder.join()


def _remind(progress: Progress, done: threading.Event) -> None:
    while not done.wait(1.0):
        progress.remind()
