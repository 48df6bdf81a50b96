"""``drcloud app config``: what an app is told in an environment, with history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cli import names
from drcloud.cli.table import plain, print_json, print_table
from drcloud.cmdb import appconfig, yamlfile
from drcloud.cmdb.base import Document
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

app = typer.Typer(no_args_is_help=True)

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
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The change ticket, for the change log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
STYLES = {"+": "green", "~": "yellow", "-": "red"}


@app.command("show")
def show(
    name: Name,
    env: Env,
    version: Annotated[int | None, typer.Option("--version", min=1, help="A former one.")] = None,
    as_json: Json = False,
) -> None:
    """Show the configuration of an app in an environment: its values, and who made it when and why."""
    with Store.open().read() as session:
        card = appconfig.card(session, name, env, version)
    if as_json:
        print_json(card.as_document())
    elif not card.number:
        typer.echo(f"{name} has no configuration in {env}: `drcloud app config set` makes one")
    else:
        said = f"configuration {card.number} of {card.newest} of {name} in {env}"
        if card.actor:
            ticket = f", {card.ticket}" if card.ticket else ""
            said += f": {str(card.at)[:19].replace('T', ' ')} UTC, {card.actor}, {card.reason}{ticket}"
        Console(highlight=False).print(Text(said), soft_wrap=True)
        print_table(
            ("variable", "value"), ((key, plain(value)) for key, value in sorted(card.values.items()))
        )


@app.command("set")
def set_(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    name: Name,
    env: Env,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Variables to set.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help="A variable to take out.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A YAML mapping of variables to set as well.")
    ] = None,
    check: Check = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Make the next version of a configuration; the next deploy rolls the app."""
    new = {**(_file(file) if file else {}), **dict(_pairs(values or []))}
    gone = tuple(unset or ())
    if not new and not gone:
        raise InvalidInputError("there is nothing to set: name KEY=VALUE, --unset KEY or --file FILE")
    if both := sorted(set(new) & set(gone)):
        raise InvalidInputError(f"{both[0]} is to be set and taken out: say one of both")
    appconfig.refuse_bad(new)

    def edit(known: Document) -> Mapping[str, Any]:
        if strange := [key for key in gone if key not in known]:
            raise NotFoundError(f"the configuration of {name} in {env} has no {strange[0]} to take out")
        return {key: value for key, value in {**known, **new}.items() if key not in gone}

    store = Store.open()
    before = _present(store, name, env)
    why = reason or f"drcloud app config set {name} --env {env}"
    changes = appconfig.change(store, name, env, edit, reason=why, ticket=ticket, dry_run=check)
    _tell(name, env, before, changes, check=check, as_json=as_json)


@app.command("diff")
def diff(
    name: Name,
    env: Env,
    old: Annotated[
        int | None, typer.Argument(metavar="[V1]", min=1, help="From this version. Default: the one before.")
    ] = None,
    new: Annotated[
        int | None, typer.Argument(metavar="[V2]", min=1, help="To this one. Default: the present one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is different between two versions of a configuration."""
    with Store.open().read() as session:
        to = (
            appconfig.present(session, name, env)
            if new is None
            else appconfig.version(session, name, env, new)
        )
        since = (
            appconfig.before(session, name, env, to.number)
            if old is None
            else appconfig.version(session, name, env, old)
        )
    found = list(_differences(since.values, to.values))
    if as_json:
        fields = ("sign", "name", "before", "after")
        differences = [dict(zip(fields, one, strict=True)) for one in found]
        print_json({"from": since.number, "to": to.number, "differences": differences})
        return
    typer.echo(f"configuration {since.number or 'none'} → {to.number or 'none'} of {name} in {env}")
    _print(found)
    if not found:
        typer.echo("no difference")


@app.command("rollback")
def rollback(
    name: Name,
    env: Env,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="The version to go back to. Default: the one before.")
    ] = None,
    check: Check = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Make a new version with the values of a former one; nothing that was is rewritten."""
    store = Store.open()
    before = _present(store, name, env)
    if not before.number:
        raise NotFoundError(f"app {name} has no configuration in {env}: there is nothing to go back to")
    with store.read() as session:
        former = (
            appconfig.before(session, name, env, before.number)
            if to is None
            else appconfig.version(session, name, env, to)
        )
    why = reason or f"drcloud app config rollback {name} --env {env} to {former.number or 'none'}"
    changes = appconfig.change(
        store, name, env, lambda _known: former.values, reason=why, ticket=ticket, dry_run=check
    )
    _tell(name, env, before, changes, check=check, as_json=as_json)


def _present(store: Store, name: str, env: str) -> appconfig.Configuration:
    with store.read() as session:
        return appconfig.present(session, name, env)


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidInputError(f"{word!r} is not KEY=VALUE: write {word}=… to set it")
        yield key, value


def _file(path: Path) -> dict[str, str]:
    """Return the variables of a YAML mapping; they are text, as everything in an environment is."""
    file = yamlfile.read(path)
    if not isinstance(file.value, Mapping):
        raise InvalidInputError(f"{path}:{file.line(())}: the file is to be a mapping of variables")
    for key, value in file.value.items():
        if not isinstance(value, str):
            place = f"{path}:{file.line((key,))}: {key}"
            raise InvalidInputError(f"{place}: must be text, not {value!r}: put it in quotes")
    return dict(file.value)


def _differences(old: Document, new: Document) -> Iterator[tuple[str, str, Any, Any]]:
    for key in sorted({*old, *new}):
        if key not in old:
            yield "+", key, None, new[key]
        elif key not in new:
            yield "-", key, old[key], None
        elif old[key] != new[key]:
            yield "~", key, old[key], new[key]


def _print(found: Sequence[tuple[str, str, Any, Any]]) -> None:
    console = Console(highlight=False)
    for sign, key, old, new in found:
        said = f"{plain(old)} → {plain(new)}" if sign == "~" else plain(new if sign == "+" else old)
        console.print(Text(f"{sign} {key}: {said}", style=STYLES[sign]), soft_wrap=True)


def _tell(
    name: str,
    env: str,
    before: appconfig.Configuration,
    changes: Sequence[Change],
    *,
    check: bool,
    as_json: bool,
) -> None:
    """Say which version was made, or would be, and what is different in it."""
    after = next((one.after for one in changes if one.kind == "app_config"), None)
    number = after["number"] if after else before.number
    values = after["document"] if after else before.values
    if as_json:
        document = {"app": name, "env": env, "before": before.number, "number": number, "values": values}
        print_json({**document, "changed": bool(changes), "written": bool(changes) and not check})
        return
    _print(list(_differences(before.values, values)))
    if not changes:
        typer.echo(f"nothing to change: configuration {number or 'none'} of {name} in {env} is like that")
    elif check:
        typer.echo(f"this would be configuration {number} of {name} in {env}; nothing was written")
    else:
        typer.echo(f"configuration {number} of {name} in {env}: the next deploy rolls it")
