"""``drcloud app``: what is delivered, declared in the CMDB from a reviewed file, and where it runs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from drcloud.cli import appconfig, names
from drcloud.cli.files import warn
from drcloud.cli.history import change_document, print_changes
from drcloud.cli.table import print_json, print_table
from drcloud.cmdb import appcard, appfile, entries, lookup
from drcloud.cmdb.appcard import AppCard, ChannelCard
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.delivery import takeover as taking
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode

app = typer.Typer(no_args_is_help=True)
app.add_typer(appconfig.app, name="config", help="What an app is told in an environment, with history.")

Name = Annotated[
    str,
    typer.Argument(metavar="APP", help="The app, as the CMDB names it.", autocompletion=names.of("app")),
]
Env = Annotated[
    str,
    typer.Option(
        "--env",
        help="The environment, as in prod.",
        show_default=False,
        autocompletion=names.of("environment"),
    ),
]
Check = Annotated[bool, typer.Option("--check", "-C", help="Show what would change, write nothing.")]
Detailed = Annotated[
    bool, typer.Option("--detailed-exitcode", help="With --check: end with 12 if changes are pending.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The change ticket, for the change log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the apps and the environments that they run in."""
    rows = appcard.listed(Store.open())
    if as_json:
        print_json([dataclasses.asdict(row) for row in rows])
        return
    columns = ("app", "image", "registry", "tier", "spec", "environments")
    print_table(
        columns,
        (
            (row.name, row.image, row.registry, row.tier, row.spec_version, ", ".join(row.environments))
            for row in rows
        ),
    )


@app.command("show")
def show(
    name: Name,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="A former specification, by its number.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an app: its specification, and per environment its hosts and what the channel points at."""
    card = appcard.read(Store.open(), name, version)
    if as_json:
        print_json(card.as_document())
        return
    console = Console(highlight=False)
    versions = len(card.spec_versions)
    console.print(
        Text(f"{card.name}: specification {card.spec_version} of {versions}, registry {card.registry}"),
        soft_wrap=True,
    )
    text = yaml.safe_dump(card.spec, allow_unicode=True, sort_keys=False, width=100)
    for line in text.splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)
    _show_places(card)


def _show_places(card: AppCard) -> None:
    columns = ("environment", "hosts", "in service", "batch", "balancers", "config", "channel")
    rows = [
        (
            place.env,
            ", ".join(place.hosts),
            f"at least {place.min_in_service}",
            place.batch,
            f"{', '.join(place.lbs)} port {place.lb_port}" if place.lbs else "none",
            place.config_version or "none",
            _channel(place.channel),
        )
        for place in card.placements
    ]
    if rows:
        print_table(columns, rows)
    else:
        typer.echo(f"it runs nowhere yet: `drcloud app assign {card.name}` says where")


def _channel(channel: ChannelCard | None) -> str:
    return f"{channel.tag} → {channel.release} {channel.digest[7:14]}" if channel else "none"


@app.command("example")
def example() -> None:
    """Print an app file in which every field is explained."""
    sys.stdout.write(appfile.example())


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="The app file: `drcloud app example` prints one.")],
    check: Check = False,
    detailed: Detailed = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Declare an app as a file says; a specification that differs becomes a new version."""
    if detailed and not check:
        raise InvalidInputError("--detailed-exitcode goes with --check")
    changes = appfile.apply(Store.open(), file, dry_run=check, reason=reason, ticket=ticket)
    tell(changes, check=check, as_json=as_json, nothing="the CMDB is as the file says")
    if detailed and changes:
        raise typer.Exit(ExitCode.DRIFT)


@app.command("assign")
def assign(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    name: Name,
    env: Env,
    hosts: Annotated[
        str | None, typer.Option("--hosts", help="All hosts that run it, in order: dk-01,dk-02.")
    ] = None,
    min_in_service: Annotated[
        int | None, typer.Option("--min-in-service", min=0, help="How many hosts must stay in service.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option("--batch", help="How many hosts a roll may change at once, as 2 or 25%."),
    ] = None,
    lbs: Annotated[str | None, typer.Option("--lbs", help="All its load balancers: lb-01,lb-02.")] = None,
    lb_port: Annotated[
        int | None, typer.Option("--lb-port", min=1, max=65535, help="Its port at the load balancers.")
    ] = None,
    check: Check = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Declare where an app runs in an environment; what is not said stays as it is."""
    store = Store.open()
    with store.read() as session:
        lookup.app(session, name)
        lookup.environment(session, env)
    wanted: dict[str, Any] = {
        "hosts": _names(hosts),
        "min_in_service": min_in_service,
        "batch": batch,
        "lbs": _names(lbs),
        "lb_port": lb_port,
    }
    said = {field: value for field, value in wanted.items() if value is not None}
    outcome = entries.declare(
        store,
        [Entry("placements", {"app": name, "env": env, **said})],
        reason=reason or f"drcloud app assign {name} --env {env}",
        ticket=ticket,
        dry_run=check,
    )
    tell(outcome.changes, check=check, as_json=as_json, nothing=f"{name} is placed like that in {env}")


@app.command()
def takeover(
    name: Name,
    env: Env,
    containers: Annotated[
        list[str],
        typer.Argument(
            metavar="HOST=CONTAINER…", help="What the app has already, as on web-07=shop. With --end: HOST…"
        ),
    ],
    end: Annotated[bool, typer.Option("--end", help="Forget them; they stay as they are.")] = False,
    check: Check = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Declare containers of adopted hosts to be what an app runs there, until a deploy takes their place.

    The load balancers send them requests once they are provisioned. The next deploy starts the app next to
    them, moves the traffic, and stops them; they are never removed.
    """
    unit: dict[str, Any] = {
        "reason": reason or f"drcloud app takeover {name} --env {env}",
        "ticket": ticket,
        "dry_run": check,
    }
    if end:
        outcome = taking.give_up(Store.open(), name, env, containers, **unit)
    else:
        outcome = taking.take_over(Store.open(), name, env, _pairs(containers), **unit)
    tell(outcome.changes, check=check, as_json=as_json, nothing=f"that is what {name} has in {env}")


def _pairs(words: Sequence[str]) -> dict[str, str]:
    """Return containers by host."""
    pairs = [word.partition("=") for word in words]
    if bad := [host for host, _equals, container in pairs if not (host and container)]:
        raise InvalidInputError(f"{bad[0]!r} is no HOST=CONTAINER, as in web-07=shop")
    return {host: container for host, _equals, container in pairs}


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def tell(changes: Sequence[Change], *, check: bool, as_json: bool, nothing: str) -> None:
    """Print changes field by field, and at the end what became of them."""
    warn(changes)
    if as_json:
        print_json(
            {"changes": [change_document(one) for one in changes], "written": not check and bool(changes)}
        )
        return
    print_changes(changes)
    if not changes:
        typer.echo(f"nothing to change: {nothing}")
    elif check:
        typer.echo("nothing was written")
