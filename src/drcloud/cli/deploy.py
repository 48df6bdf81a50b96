"""``drcloud deploy`` rolls a release over its hosts; ``drcloud status`` tells what runs where."""

from __future__ import annotations

import itertools
import json as jsonlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cli.table import screen
from drcloud.cmdb.store import Store
from drcloud.delivery import ledger
from drcloud.delivery import status as statuses
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.status import StatusRow
from drcloud.runs import RunOutcome

PLAYBOOK = "dianrong.cloud.deploy"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GOOD = ("ok", "done", "unchanged", "succeeded", "nothing-to-do")


def deploy(
    app: Annotated[
        str, typer.Argument(help="The app, as the CMDB names it.", autocompletion=names.of("app"))
    ],
    tag: Annotated[
        str, typer.Argument(help="The tag; asked of the registry once.", autocompletion=names.tags)
    ],
    env: Annotated[
        str,
        typer.Option(
            "--env",
            help="The environment, as in prod.",
            show_default=False,
            autocompletion=names.of("environment"),
        ),
    ],
    limit: Annotated[
        str | None, typer.Option("--limit", "-l", help="Only these hosts, as in dk-01,dk-02.")
    ] = None,
    inventory: Annotated[
        list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", "-C", help="Touch nothing, tell what would be.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=1, help="Seconds until it is stopped.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Roll a release over the hosts of an app, behind its load balancers.

    The tag is resolved to a digest once. The roll stops at the first host that fails, and that host is
    back on what it ran before. A second time there is nothing to do.
    """
    from drcloud.delivery import target  # late, for it brings the HTTP client

    store = Store.open()
    only = [name.strip() for name in (limit or "").split(",") if name.strip()]
    # What is wrong with the input is said here in one sentence, before a playbook starts.
    target.resolve(target.find(store, app, env, only), tag)
    variables: dict[str, Any] = {"app": app, "tag": tag, "env": env, **({"only": only} if only else {})}
    with tempfile.TemporaryDirectory(prefix="drcloud-deploy-") as directory:
        plan = Path(directory) / "plan.json"
        outcome = run_playbook(
            PLAYBOOK,
            inventory=tuple(inventory or ()),
            extra_vars={**variables, "plan_file": str(plan)},
            recorded=tuple(variables),
            check=check,
            timeout=timeout,
            json=json,
            store=store,
        )
        planned = jsonlib.loads(plan.read_text(encoding="utf-8")) if plan.exists() else None
    found = ledger.of_run(store, outcome.uid)
    if json:
        print_document({**_document(outcome, found), "plan": planned})
    elif found is not None:
        _tell(found)
    elif planned is not None:
        _tell_plan(planned)
    return outcome.exit_code


def _document(outcome: RunOutcome, found: ledger.DeploymentRow | None) -> dict[str, Any]:
    return {"run": outcome.document(), "deployment": found.as_document() if found else None}


def _tell(found: ledger.DeploymentRow) -> None:
    console = Console(highlight=False)
    style = "green" if found.state in GOOD else "red"
    console.print(f"[{style}]{escape(found.reason)}[/]", soft_wrap=True)
    console.print(f"  {found.digest}, revision {found.revision[:8]}", soft_wrap=True)
    for step in found.steps:
        _tell_logs(console, step)


def _tell_plan(planned: dict[str, Any]) -> None:
    """Show what a roll would do, in its order."""
    table = Table(title="A roll would", title_justify="left", title_style="bold")
    for name in ("Batch", "Host", "Step", "Because it"):
        table.add_column(name)
    for step in planned["steps"]:
        batch = "-" if step["batch"] < 0 else str(step["batch"] + 1)
        table.add_row(batch, escape(step["host"]), step["action"], escape(step["reason"]))
    screen().print(table)


def _tell_logs(console: Console, step: StepRow) -> None:
    logs = step.detail.get("logs") or []
    if logs:
        console.print(f"  the last lines of the new instance on {step.host}:")
    for line in logs:
        console.print(f"    {escape(line)}", style="dim", soft_wrap=True)


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
