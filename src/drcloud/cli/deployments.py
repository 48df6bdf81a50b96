"""``drcloud history``: what was deployed, how it went, and one deployment host by host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document
from drcloud.cli.table import screen
from drcloud.cmdb.store import Store
from drcloud.delivery import history as histories
from drcloud.delivery.history import Entry, Step, Told
from drcloud.errors import InvalidInputError
from drcloud.runs.lines import clock

GOOD = ("succeeded", "nothing-to-do", "done", "unchanged")
OPEN = ("running", "pending", "claimed", "skipped")
COLUMNS = ("When (UTC)", "Deployment", "App", "Tag", "Digest", "Revision", "State", "Hosts", "Took", "Who")


def history(
    app: Annotated[
        str | None,
        typer.Argument(help="Only this app.", show_default=False, autocompletion=names.of("app")),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", help="Only this environment.", autocompletion=names.of("environment")),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.")] = 20,
    deployment: Annotated[
        str | None,
        typer.Option("--deployment", metavar="ID", help="This one, host by host; the beginning will do."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what was deployed, newest first, or one deployment host by host."""
    store = Store.open()
    if deployment is not None:
        if app is not None or env is not None:
            raise InvalidInputError("--deployment names one deployment: leave the app and --env out")
        told = histories.one(store, deployment)
        print_document(told.as_document()) if json else _tell(told)
        return
    found = histories.entries(store, app, env, limit)
    if json:
        print_document({"deployments": [one.as_document() for one in found]})
    elif not found:
        screen().print(f"nothing was deployed{_where(app, env)} yet")
    else:
        _list(found)


def _where(app: str | None, env: str | None) -> str:
    return (f" of {app}" if app else "") + (f" in {env}" if env else "")


def _list(found: list[Entry]) -> None:
    console = screen()
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            f"{one.started_at:%Y-%m-%d %H:%M}",
            one.uid[:8],
            escape(f"{one.app} {one.env}"),
            escape(one.tag),
            _short(one.digest),
            one.revision[:8],
            _state(one),
            _hosts(one.hosts),
            _took(one.seconds),
            escape(one.actor),
        )
    console.print(table)
    for one in found:
        if one.state not in GOOD and one.reason:
            console.print(f"{one.uid[:8]}: {escape(one.reason)}", soft_wrap=True)


def _tell(told: Told) -> None:
    console = screen()
    one = told.entry
    console.print(
        f"[bold]{escape(one.app)} {escape(one.tag)} in {escape(one.env)}[/]: {_state(one)}", soft_wrap=True
    )
    if one.reason:
        console.print(f"  {escape(one.reason)}", soft_wrap=True)
    console.print(f"  {one.digest}, revision {one.revision[:8]}, specification {one.spec_version}")
    ended = f"{one.ended_at:%Y-%m-%d %H:%M:%S} ({_took(one.seconds)})" if one.ended_at else "not ended"
    console.print(f"  from {one.started_at:%Y-%m-%d %H:%M:%S} to {ended}, UTC, by {escape(one.actor)}")
    console.print(f"  deployment {one.uid}" + (f", run {one.run}" if one.run else ""))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("Batch", "Host", "State", "Slot", "Before", "At", "Seconds", "Because"):
        table.add_column(column, overflow="fold")
    for step in told.steps:
        table.add_row(*_row(step))
    console.print(table)
    for step in told.steps:
        for number, line in enumerate(step.logs):
            if not number:
                console.print(f"the last lines of the new instance on {escape(step.host)}:")
            console.print(f"  {escape(line)}", style="dim", soft_wrap=True)


def _row(step: Step) -> tuple[str, ...]:
    style = "green" if step.state in GOOD else "dim" if step.state in OPEN else "red"
    return (
        "-" if step.batch < 0 else str(step.batch + 1),
        escape(step.host),
        f"[{style}]{step.state}[/]",
        step.slot or "-",
        (step.previous or "-")[:8],
        f"{step.changed_at:%H:%M:%S}",
        ", ".join(f"{name} {value:g}" for name, value in step.times.items()) or "-",
        escape(f"{step.reason} ({step.kind})" if step.kind else step.reason),
    )


def _state(one: Entry) -> str:
    if one.abandoned:
        return "[red]running, but nobody holds its lock[/]"
    style = "green" if one.state in GOOD else "yellow" if one.state in OPEN else "red"
    return f"[{style}]{one.state}[/]"


def _hosts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "-"


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else clock(seconds)


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
