"""``drcloud cmdb set``: change one declared object by hand, with who and why in the log."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cmdb import objects, reading, values
from drcloud.cmdb.objects import Outcome
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted, kind_named
from drcloud.errors import InvalidInputError, NotFoundError

STYLES = {"create": "green", "update": "yellow", "delete": "red"}


def set_(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    kind: Annotated[str, typer.Argument(help="What it is, as `host`.")],
    name: Annotated[str, typer.Argument(help="Which one.")],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE…", help="What to set; an empty value empties.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make it where there is none.")] = False,
    version: Annotated[
        int | None, typer.Option("--if-version", help="Only while the CMDB still holds this version.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, write nothing.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket, for the change log.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
    if as_json:
        sys.stdout.write(json.dumps(_plain(outcome), ensure_ascii=False, indent=2) + "\n")
        return
    console = Console()
    for one in outcome.changes:
        console.print(Text(one.line(), style=STYLES[one.action]), soft_wrap=True)
    if not outcome.changes:
        console.print(Text(f"nothing to change: {wanted.name} is like that"), soft_wrap=True)
    elif dry_run:
        console.print(Text("nothing was written"))


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


def _plain(outcome: Outcome) -> dict[str, Any]:
    changes = [
        {name: getattr(one, name) for name in ("kind", "key", "action", "before", "after")}
        for one in outcome.changes
    ]
    [found] = outcome.objects
    return {
        "changes": changes,
        "object": {name: getattr(found, name) for name in ("kind", "key", "version", "fields")},
    }
