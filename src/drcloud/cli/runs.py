"""``drcloud runs``: what was run, by whom, and how it ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from drcloud.cli.playbook import print_document
from drcloud.cli.table import print_table
from drcloud.cmdb.operational import RUN_STATES
from drcloud.cmdb.store import Store
from drcloud.runs import listing
from drcloud.runs.lines import clock
from drcloud.runs.listing import RunRow

app = typer.Typer(no_args_is_help=True)

COLUMNS = ("run", "started (UTC)", "took", "state", "code", "playbook", "limit", "actor", "message")
State = StrEnum("State", {name: name for name in RUN_STATES})  # type: ignore[misc]


@app.callback()
def root() -> None:
    """What was run, by whom, and how it ended."""


@app.command("list")
def list_(
    state: Annotated[State | None, typer.Option("--state", help="Only runs in this state.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="How many, newest first; 0 is all.")
    ] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs that are recorded in the CMDB, the newest first."""
    found = listing.read(Store.open(), None if state is None else state.value, limit + 1 if limit else None)
    shown = found[:limit] if limit else found
    if as_json:
        print_document({"runs": [one.as_document() for one in shown]})
    else:
        print_table(COLUMNS, map(_cells, shown))
    if len(shown) < len(found):
        typer.echo(f"… the newest {limit}; --limit 0 shows all", err=True)


def _cells(one: RunRow) -> tuple[object, ...]:
    began = f"{one.started_at:%Y-%m-%d %H:%M:%S}" if one.started_at else None
    took = clock((one.ended_at - one.started_at).total_seconds()) if one.started_at and one.ended_at else None
    playbook = f"{one.playbook} (check)" if one.check else one.playbook
    return one.run[:8], began, took, one.state, one.exit_code, playbook, one.limit, one.actor, one.message
