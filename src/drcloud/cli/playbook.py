"""A playbook behind a command: opens the CMDB, shows progress, says at the end how it went."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cli import progress
from drcloud.cmdb.store import Store
from drcloud.runs import RunOutcome, RunRequest, execute
from drcloud.runs.lines import clock, failure

SHOWN_FAILURES = 20


def run_playbook(  # noqa: PLR0913 - the options that playbook commands have in common
    name: str,
    *,
    inventory: str | Sequence[str] | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    recorded: Sequence[str] = (),
    limit: str | None = None,
    check: bool = False,
    diff: bool = False,
    forks: int | None = None,
    verbosity: int = 0,
    timeout: float | None = None,
    json: bool = False,
    source: str = "cli",
    store: Store | None = None,
) -> RunOutcome:
    """Run a playbook in front of a person or a log, and return how it ended.

    Progress goes to standard output, with ``json`` to standard error, for the caller then prints
    its document to standard output. ``recorded`` names the variables whose values are no secret and
    may stand in the runs table. ``timeout`` is seconds.
    """
    request = RunRequest(
        playbook=name,
        inventory=inventory,
        extra_vars=extra_vars or {},
        recorded=recorded,
        limit=limit,
        check=check,
        diff=diff,
        forks=forks,
        verbosity=verbosity,
        source=source,
    )
    return run_request(request, store=store or Store.open(), timeout=timeout, json=json)


def run_request(
    request: RunRequest, *, store: Store | None, timeout: float | None = None, json: bool = False
) -> RunOutcome:
    """Run what is asked for, with progress and a last line; without a store it is not recorded."""
    console = progress.Screen(stderr=json, highlight=False)
    details = progress.DIFFS if request.diff else progress.NOTHING
    if request.verbosity:
        details = progress.RESULTS
    with progress.shown(console, details=details) as watcher:
        outcome = execute(request, store, on_event=watcher, timeout=timeout)
    conclude(console, outcome)
    return outcome


def conclude(console: Console, outcome: RunOutcome) -> None:
    """Say in a few lines how a run ended: each host that failed with its message, then one sentence."""
    for one in outcome.failures[:SHOWN_FAILURES]:
        word = "unreachable" if one.unreachable else "failed"
        console.print(
            Text(failure(one.host, word, f"{one.task}: {one.message}"), style="red"), soft_wrap=True
        )
    left = len(outcome.failures) - SHOWN_FAILURES
    if left > 0:
        console.print(f"      … and {left} more")
    took = clock((outcome.ended_at - outcome.started_at).total_seconds())
    line = f"{outcome.message} (run {outcome.uid[:8]}, {took}, exit code {int(outcome.exit_code)})"
    console.print(Text(line, style="bold green" if outcome.ok else "bold red"), soft_wrap=True)


def print_document(document: Mapping[str, Any]) -> None:
    """Print plain data as JSON, Chinese names readable."""
    typer.echo(jsonlib.dumps(document, ensure_ascii=False, indent=2))
