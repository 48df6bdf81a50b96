"""A roll behind a command: runs its playbook, and tells afterwards what the ledger says."""

from __future__ import annotations

import json as jsonlib
import tempfile
from dataclasses import dataclass
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
from drcloud.delivery import ledger, preview
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.wish import Wish
from drcloud.runs import RunOutcome

EnvOption = Annotated[
    str,
    typer.Option(
        "--env",
        help="The environment, as in prod.",
        show_default=False,
        autocompletion=names.of("environment"),
    ),
]
LimitOption = Annotated[
    str | None, typer.Option("--limit", "-l", help="Only these hosts, as in dk-01,dk-02.")
]
InventoryOption = Annotated[
    list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", "-C", "--plan", help="Touch nothing, tell what would be.")
]
TimeoutOption = Annotated[float | None, typer.Option("--timeout", min=1, help="Seconds until it is stopped.")]
BudgetOption = Annotated[
    int,
    typer.Option("--failure-budget", min=0, help="How many hosts may be lost before the roll stops."),
]
WatchOption = Annotated[
    float | None,
    typer.Option("--canary-watch", min=0, help="Seconds that the first host is watched before the others."),
]
DrainOption = Annotated[
    float | None,
    typer.Option(
        "--drain-timeout",
        min=0,
        help="Seconds for the last request of an instance; then it is cut. Default: 30.",
    ),
]
GOOD = ("succeeded", "nothing-to-do")


@dataclass(frozen=True, slots=True)
class Options:
    """How a roll is run. ``timeout`` is seconds."""

    inventory: tuple[str, ...] = ()
    check: bool = False
    timeout: float | None = None
    json: bool = False
    save: Path | None = None
    drain: float | None = None


def hosts(limit: str | None) -> tuple[str, ...]:
    """Return the hosts that a comma-separated option names."""
    return tuple(name.strip() for name in (limit or "").split(",") if name.strip())


def run(wish: Wish, playbook: str, options: Options) -> int:
    """Run the playbook of a roll and tell what came of it; return the exit code."""
    from drcloud.delivery import rollout  # late, for it brings the HTTP client

    store = Store.open()
    # What is wrong with the input is said here in one sentence, before a playbook starts.
    target, _kind = rollout.aim(store, wish)
    _tell_away(target.lbs_away)
    variables = {**_variables(wish), **({} if options.drain is None else {"drain_timeout": options.drain})}
    with tempfile.TemporaryDirectory(prefix="drcloud-roll-") as directory:
        plan = (options.save or Path(directory) / "plan.json").resolve()
        outcome = run_playbook(
            playbook,
            inventory=options.inventory,
            extra_vars={**variables, "plan_file": str(plan)},
            recorded=tuple(variables),
            check=options.check,
            timeout=options.timeout,
            json=options.json,
            store=store,
        )
        planned = jsonlib.loads(plan.read_text(encoding="utf-8")) if plan.exists() else None
    found = ledger.of_run(store, outcome.uid)
    if options.json:
        print_document({**_document(outcome, found), "plan": planned})
    elif found is not None:
        _tell(found)
    elif planned is not None:
        _tell_plan(planned)
    return outcome.exit_code


def _tell_away(lbs: tuple[str, ...]) -> None:
    if lbs:
        typer.echo(f"not asked, for it is out of service: {', '.join(lbs)}", err=True)


def _variables(wish: Wish) -> dict[str, Any]:
    """Return the variables of the playbook; those that are not wanted are left out."""
    given: dict[str, Any] = {"app": wish.app, "env": wish.env, "tag": wish.tag, "only": list(wish.only)}
    given["failure_budget"] = wish.budget or None
    given["canary_watch"] = wish.watch
    given["way"] = wish.way if wish.way in ("resume", "apply", "current") else None
    given["apply_plan"] = str(Path(wish.plan).resolve()) if wish.plan else None
    return {name: value for name, value in given.items() if value not in ("", None, [])}


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
    # Without lines between the columns a reason fits beside the rest in a hundred characters.
    table = Table(
        title="A roll would",
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="bold",
        pad_edge=False,
    )
    for name in ("Batch", "Host", "Rack", "Pull", "Step"):
        table.add_column(name, no_wrap=True)
    table.add_column("Because it", overflow="fold")
    for step in planned["steps"]:
        cells = (preview.batch(step), step["host"], step["rack"] or "-", preview.pulled(step), step["action"])
        table.add_row(*map(escape, cells), escape(preview.because(step)))
    console = screen()
    console.print(table)
    for line in (*(f"pulled is {image}" for image in preview.images(planned)), preview.service(planned)):
        console.print(escape(line), soft_wrap=True)


def _tell_logs(console: Console, step: StepRow) -> None:
    logs = step.detail.get("logs") or []
    if logs:
        console.print(f"  the last lines of the new instance on {step.host}:")
    for line in logs:
        console.print(f"    {escape(line)}", style="dim", soft_wrap=True)
