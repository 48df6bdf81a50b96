"""``drcloud deploy`` rolls a release over its hosts; ``drcloud status`` tells what runs where."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names, roll
from drcloud.cli.playbook import print_document
from drcloud.cli.table import screen
from drcloud.cmdb.store import Store
from drcloud.delivery import status as statuses
from drcloud.delivery.status import StatusRow
from drcloud.delivery.wish import Way, Wish
from drcloud.errors import InvalidInputError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GOOD = ("ok",)


def deploy(  # noqa: PLR0913 - the options of the command
    app: Annotated[
        str, typer.Argument(help="The app, as the CMDB names it.", autocompletion=names.of("app"))
    ],
    tag: Annotated[
        str | None,
        typer.Argument(
            help="The tag; asked of the registry once. Not with --current, --resume or --apply.",
            autocompletion=names.tags,
        ),
    ] = None,
    *,
    env: roll.EnvOption,
    current: Annotated[
        bool,
        typer.Option(
            "--current",
            help="The image that was stable last, with today's settings: to new hosts, for instance.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last deployment that did not come to its end.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option("--save", help="Write the plan to this file.", dir_okay=False)
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option("--apply", help="Roll what a saved plan says, if it still holds.", dir_okay=False),
    ] = None,
    limit: roll.LimitOption = None,
    failure_budget: roll.BudgetOption = 0,
    canary_watch: roll.WatchOption = None,
    drain_timeout: roll.DrainOption = None,
    inventory: roll.InventoryOption = None,
    check: roll.CheckOption = False,
    timeout: roll.TimeoutOption = None,
    json: JsonOption = False,
) -> int:
    """Roll a release over the hosts of an app, behind its load balancers.

    The tag is resolved to a digest once. Where the app does not work the roll stops, and every host is put
    back on what it ran before. A second time there is nothing to do.
    """
    way = _way(app, {"deploy": tag, "current": current, "resume": resume, "apply": apply})
    wish = Wish(app, env, tag or "", roll.hosts(limit), way, failure_budget, canary_watch, str(apply or ""))
    options = roll.Options(tuple(inventory or ()), check, timeout, json, save, drain_timeout)
    return roll.run(wish, "dianrong.cloud.deploy", options)


def _way(app: str, ways: Mapping[Way, object]) -> Way:
    """Return which way to go; InvalidInputError where two are asked for, or none."""
    wanted = [way for way, asked in ways.items() if asked is not None and asked is not False]
    if not wanted:
        raise InvalidInputError(
            f"say which tag of {app} to deploy, --current for the one that runs, or --resume to go on with a "
            "deployment"
        )
    if len(wanted) > 1:
        raise InvalidInputError(
            "a tag, --current, --resume and --apply exclude each other: all but the first have their digest "
            "already, so leave the tag out"
        )
    return wanted[0]


def status(
    app: Annotated[
        str | None, typer.Option("--app", help="Only this app.", autocompletion=names.of("app"))
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", help="Only this environment.", autocompletion=names.of("environment")),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what should run and what was seen, host by host."""
    rows = statuses.read(Store.open(), app, env)
    if json:
        print_document({"status": [row.as_document() for row in rows]})
    else:
        console = screen()
        for table in _tables(rows):
            console.print(table)


def _tables(rows: list[StatusRow]) -> Iterator[Table]:
    for (app, env), group in itertools.groupby(rows, key=lambda row: (row.app, row.env)):
        yield _table(app, env, list(group))


def _table(app: str, env: str, rows: list[StatusRow]) -> Table:
    desired = rows[0].desired
    wanted = f"should run {_said(desired.tag, desired.digest)}" if desired else "nothing was deployed yet"
    table = Table(title=f"{escape(app)} in {escape(env)}: {wanted}", title_justify="left", title_style="bold")
    for name in ("Host", "State", "Runs", "Slot", "Health", "Since", "Seen"):
        table.add_column(name)
    for row in rows:
        seen = row.seen
        style = "green" if row.state in GOOD else "red" if row.state in statuses.BAD else "dim"
        table.add_row(
            escape(row.host),
            f"[{style}]{row.state}[/]",
            _said(seen.tag, seen.digest) if seen else "-",
            seen.slot if seen else "-",
            seen.health if seen else "-",
            f"{seen.started_at:%m-%d %H:%M}" if seen and seen.started_at else "-",
            _ago(row.observed_at) if row.observed_at else "-",
        )
    return table


def _ago(moment: datetime) -> str:
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{max(seconds, 0)} s ago"


def _said(tag: str, digest: str) -> str:
    return f"{escape(tag)} {digest.removeprefix('sha256:')[:7]}"
