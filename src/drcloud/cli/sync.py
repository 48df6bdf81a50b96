"""``drcloud cmdb sync``: declared state from other sources of truth."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cli.files import STYLES, WORDS
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

if TYPE_CHECKING:
    from drcloud.cmdb.netbox.plan import Plan
    from drcloud.cmdb.netbox.sync import Result

app = typer.Typer(no_args_is_help=True)

TOKEN = "NETBOX_TOKEN"  # noqa: S105 (the name of a variable)
# So many objects that were left out are named one by one; the rest is counted.
NAMED = 20


@app.callback()
def root() -> None:
    """Pull declared state from another source of truth."""


@app.command("netbox")
def netbox(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    url: Annotated[str, typer.Option("--url", help="The NetBox, as https://netbox.example.com.")],
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help=f"A file with the API token; else ${TOKEN} has it.")
    ] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="A file with the CA of its certificate.")] = None,
    site: Annotated[list[str] | None, typer.Option("--site", help="Only this site; repeatable.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Only devices of this role are hosts; repeatable."),
    ] = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option("--adopt", help="Hand over what was made here, as host:web-01; repeatable."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Retire hosts and remove objects that vanished from NetBox.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Read everything, not only what changed.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, write nothing.")
    ] = False,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket, for the change log.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Pull sites, racks, devices, interfaces, prefixes, addresses and tags from NetBox, all or nothing."""
    # httpx costs a tenth of a second, which the other commands do not pay.
    from drcloud.cmdb.netbox import sync
    from drcloud.cmdb.netbox.client import Access
    from drcloud.cmdb.netbox.mapping import Choice

    access = Access.make(url, _token(token_file), ca)
    request = sync.Request(
        access,
        Choice(tuple(site or ()), tuple(role or ())),
        adopt=frozenset(adopt or ()),
        prune=prune,
        full=full,
        dry_run=dry_run,
        ticket=ticket,
    )
    result = sync.pull(Store.open(), request)
    if as_json:
        sys.stdout.write(json.dumps(_document(result), ensure_ascii=False, indent=2) + "\n")
    else:
        _tell(result.plan, dry_run=dry_run, prune=prune)


def _token(file: Path | None) -> str:
    """Return the token: never from the command line, where every user of the machine sees it."""
    if file is not None:
        try:
            return file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"the token file {file} cannot be read: {error}") from error
    token = os.environ.get(TOKEN)
    if not token:
        raise InvalidInputError(f"there is no NetBox token: set {TOKEN}, or name a file with --token-file")
    return token


def _document(result: Result) -> dict[str, Any]:
    plan = result.plan
    names = ("kind", "key", "action", "before", "after")
    return {
        "changes": [{name: getattr(change, name) for name in names} for change in plan.changes],
        "vanished": [{"kind": kind, "key": key} for kind, key in plan.vanished],
        "left_out": list(plan.left_out),
        "read": dict(result.read),
    }


def _tell(plan: Plan, *, dry_run: bool, prune: bool) -> None:
    console, aside = Console(), Console(stderr=True)
    for change in plan.changes if dry_run else ():
        first, *rest = change.lines()
        console.print(Text(first, style=STYLES[change.action]), soft_wrap=True)
        for line in rest:
            console.print(Text(line), soft_wrap=True)
    for what in plan.left_out[:NAMED]:
        aside.print(Text(f"left out: {what}"), soft_wrap=True)
    if len(plan.left_out) > NAMED:
        aside.print(Text(f"left out: {len(plan.left_out) - NAMED} more (--json names all)"))
    for kind, key in plan.vanished if not prune else ():
        what = "retires" if kind == "host" else "removes"
        aside.print(Text(f"vanished from NetBox: {kind} {key} (--prune {what} it)"), soft_wrap=True)
    console.print(Text(_summary(plan, dry_run)))


def _summary(plan: Plan, dry_run: bool) -> str:
    if not plan.changes:
        return "nothing to change: the CMDB is as NetBox says"
    counts = {action: sum(change.action == action for change in plan.changes) for action in WORDS}
    done = ", ".join(f"{count} {WORDS[action]}" for action, count in counts.items() if count)
    return f"would be {done}; nothing was written" if dry_run else done
