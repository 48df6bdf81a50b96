"""``drcloud cmdb set`` and ``delete``: one declared object by hand, with who and why in the log."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cli import names
from drcloud.cli.files import STYLES, warn
from drcloud.cli.table import print_json
from drcloud.cmdb import objects, reading, values
from drcloud.cmdb.objects import Outcome
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted, kind_named
from drcloud.errors import InvalidInputError, NotFoundError

Kind = Annotated[str, typer.Argument(help="What it is, as `host`.", autocompletion=names.kinds)]
Name = Annotated[str, typer.Argument(help="Which one.", autocompletion=names.objects)]
IfVersion = Annotated[
    int | None, typer.Option("--if-version", help="Only while the CMDB still holds this version.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, write nothing.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The change ticket, for the change log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def set_(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    kind: Kind,
    name: Name,
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE…", help="What to set; an empty value empties.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make it where there is none.")] = False,
    version: IfVersion = None,
    dry_run: DryRun = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Set fields of an object; `attrs.team=payments` sets one part of a free document."""
    wanted = Wanted(kind, _fields(kind, name, fields or []), name, version=version)
    store = Store.open()
    if not create:
        _refuse_unknown(store, kind, name)
    outcome = objects.change(
        store,
        [wanted],
        reason=reason or f"drcloud cmdb set {kind} {name}",
        ticket=ticket,
        dry_run=dry_run,
    )
    warn(outcome.changes)
    if as_json:
        print_json(_plain(outcome))
        return
    console = Console()
    _show(console, outcome)
    if not outcome.changes:
        console.print(Text(f"nothing to change: {wanted.name} is like that"), soft_wrap=True)
    elif dry_run:
        console.print(Text("nothing was written"))


def delete(
    kind: Kind,
    name: Name,
    version: IfVersion = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    reason: Reason = None,
    ticket: Ticket = None,
    as_json: Json = False,
) -> None:
    """Remove an object with what belongs to it; what something else still refers to stays."""
    store = Store.open()
    [found] = reading.read(store, kind, [name])
    # What was agreed to is this version of it, and no other.
    wanted = Wanted(kind, key=name, state="absent", version=found.version if version is None else version)
    why = reason or f"drcloud cmdb delete {kind} {name}"
    outcome = objects.change(store, [wanted], reason=why, ticket=ticket, dry_run=True)
    if not dry_run:
        if not yes:
            _agree(outcome)
        outcome = objects.change(store, [wanted], reason=why, ticket=ticket)
    if as_json:
        print_json({"changes": _changes(outcome)})
        return
    console = Console()
    if dry_run or yes:
        _show(console, outcome)
    console.print(Text("nothing was written" if dry_run else f"removed {_count(outcome)}"))


def _agree(planned: Outcome) -> None:
    """Show what would go and ask."""
    count = _count(planned)
    _show(Console(stderr=True), planned)
    if not sys.stdin.isatty():
        raise InvalidInputError(f"this would remove {count}: say --yes where nobody can be asked")
    typer.confirm(f"Remove {count}?", abort=True, err=True)


def _count(outcome: Outcome) -> str:
    return f"{len(outcome.changes)} object{'s' if len(outcome.changes) > 1 else ''}"


def _show(console: Console, outcome: Outcome) -> None:
    for one in outcome.changes:
        console.print(Text(one.line(), style=STYLES[one.action]), soft_wrap=True)


def _refuse_unknown(store: Store, kind: str, name: str) -> None:
    """Refuse a name that nothing has: a slip of a letter would make another object."""
    try:
        reading.read(store, kind, [name])
    except NotFoundError as error:
        raise NotFoundError(f"{error}{'' if str(error).endswith('?') else ';'} --create makes it") from None


def _fields(kind: str, name: str, words: list[str]) -> dict[str, Any]:
    """Return the fields that words like ``rack=bj1/r1/a01`` set."""
    found = {}
    for word in words:
        field, equals, text = word.partition("=")
        if not equals:
            raise InvalidInputError(f"{word!r} is not FIELD=VALUE: write {field}=… to set it")
        try:
            found[field] = values.from_text(kind_named(kind), field, text)
        except ValueError as error:
            raise InvalidInputError(f"{kind} {name}: {field}: {error}") from None
    return found


def _changes(outcome: Outcome) -> list[dict[str, Any]]:
    shown = ("kind", "key", "action", "before", "after")
    return [{name: getattr(one, name) for name in shown} for one in outcome.changes]


def _plain(outcome: Outcome) -> dict[str, Any]:
    [found] = outcome.objects
    return {
        "changes": _changes(outcome),
        "object": {name: getattr(found, name) for name in ("kind", "key", "version", "fields")},
    }
