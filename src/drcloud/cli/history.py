"""``drcloud cmdb log`` and ``diff``: who changed what, and what is different from another moment."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy.orm import Session

from drcloud.cli import names
from drcloud.cli.files import STYLES
from drcloud.cli.table import print_json, print_table
from drcloud.cmdb import history
from drcloud.cmdb import state as states
from drcloud.cmdb.history import Selection
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError
from drcloud.exitcodes import ExitCode

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnlyKind = Annotated[str | None, typer.Argument(help="Only this kind.", autocompletion=names.kinds)]
OnlyName = Annotated[str | None, typer.Argument(help="Only this object.", autocompletion=names.objects)]
WHEN = "a change's number, 2026-03-01T14:00, 2h, ticket:NAME, …"


def log(
    kind: OnlyKind = None,
    name: OnlyName = None,
    since: Annotated[str | None, typer.Option("--since", help=f"Only what came after it: {WHEN}")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Only what came up to it.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what somebody changed.")] = None,
    ticket: Annotated[str | None, typer.Option("--ticket", help="Only what a ticket stands for.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="How many, newest first; 0 is all.")
    ] = 50,
    as_json: Json = False,
) -> None:
    """Show who changed what, when and why; the newest first."""
    with Store.open().read() as session:
        require_kind(kind)
        after = 0 if since is None else history.resolve(session, since)
        last = None if until is None else history.resolve(session, until)
        chosen = Selection(kind, name, after, last, actor, ticket)
        rows = history.entries(session, chosen, limit + 1 if limit else None)
        if not rows and kind is not None and name is not None:
            _require_logged(session, kind, name)
    shown = rows[:limit] if limit else rows
    if as_json:
        print_json([_entry(row) for row in shown])
    else:
        cells = ((row.seq, f"{row.at:%Y-%m-%d %H:%M:%S}", row.actor, _what(row), *_why(row)) for row in shown)
        print_table(("seq", "at (UTC)", "actor", "what", "reason", "ticket"), cells)
    if len(shown) < len(rows):
        typer.echo(f"… the newest {limit}; --limit 0 shows all", err=True)


def diff(
    before: Annotated[str, typer.Argument(metavar="T1", help=f"Since when: {WHEN}")],
    after: Annotated[str, typer.Argument(metavar="[T2]", help="Until when.")] = "now",
    kind: OnlyKind = None,
    name: OnlyName = None,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="End with 12 if there are differences.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what became different between two moments, net: what came and went does not appear."""
    if after in kinds():
        after, kind, name = "now", after, kind
    require_kind(kind)
    with Store.open().read() as session:
        found = history.diff(session, *history.resolve_both(session, before, after))
    changes = [one for one in found if kind in (None, one.kind) and name in (None, one.key)]
    if as_json:
        print_json([change_document(one) for one in changes])
    else:
        print_changes(changes)
        if not changes:
            typer.echo("no difference")
    if detailed and changes:
        raise typer.Exit(ExitCode.DRIFT)


def print_changes(changes: Iterable[Change]) -> None:
    """Print changes as a diff, field by field."""
    console = Console()
    for change in changes:
        first, *rest = change.lines()
        console.print(Text(first, style=STYLES[change.action]), soft_wrap=True)
        for line in rest:
            console.print(Text(line), soft_wrap=True)


def change_document(change: Change) -> dict[str, Any]:
    """Return a change as JSON shows it."""
    return {name: getattr(change, name) for name in ("kind", "key", "action", "before", "after")}


def require_kind(kind: str | None) -> None:
    """Refuse a kind that the CMDB does not have."""
    if kind is not None and kind not in kinds():
        hint = meant(kind, list(kinds())) or f"it knows {', '.join(kinds())}"
        raise NotFoundError(f"the CMDB has no kind {kind!r}: {hint}")


def _require_logged(session: Session, kind: str, name: str) -> None:
    """Refuse a name that never was; nothing in a log of an object that is there is just nothing."""
    if history.entries(session, Selection(kind, name), 1):
        return
    known: Sequence[str] = list(states.load(session, {kind}).documents[kind])
    hint = meant(name, known) or f"`drcloud cmdb show {kind}` lists what there is"
    raise NotFoundError(f"there never was a {kind} {name!r} in the CMDB: {hint}")


def _entry(row: ChangeLog) -> dict[str, Any]:
    names = ("seq", "actor", "reason", "ticket", "kind", "key", "action", "before", "after")
    return {"at": row.at.isoformat(), **{name: getattr(row, name) for name in names}}


def _why(row: ChangeLog) -> tuple[str, str | None]:
    return row.reason, row.ticket


def _what(row: ChangeLog) -> str:
    lines = history.change_of(row).lines()
    if sys.stdout.isatty():
        return "\n".join(lines)
    first, *rest = lines
    return first + ("  " if rest else "") + ", ".join(line.strip() for line in rest)
