"""``drcloud cmdb import`` and ``export``: the CMDB from files, and as files."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from drcloud.cmdb import csvfile, exporter, hostroles, importer
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode

STYLES = {"create": "green", "update": "yellow", "delete": "red"}
WORDS = {"create": "created", "update": "changed", "delete": "deleted"}


class Form(StrEnum):
    """A form of an export."""

    YAML = "yaml"
    CSV = "csv"


def import_(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    files: Annotated[list[Path], typer.Argument(help="CMDB files: YAML, or CSV with one kind each.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, write nothing.")
    ] = False,
    kind: Annotated[
        str | None, typer.Option("--kind", help="What the CSV files list, where their names do not tell.")
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what the files' sections do not name.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    detailed: Annotated[
        bool,
        typer.Option("--detailed-exitcode", help="With --dry-run: end with 12 if changes are pending."),
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket, for the change log.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the CMDB to what files say, all of it or nothing; what they do not name stays."""
    if detailed and not dry_run:
        raise InvalidInputError("--detailed-exitcode goes with --dry-run")
    store = Store.open()
    request = importer.Request(tuple(files), kind, prune)
    if prune and not dry_run and not yes:
        request = _agree(store, request, ticket)
    changes = importer.import_files(store, request, dry_run=dry_run, reason=reason, ticket=ticket)
    warn(changes)
    if as_json:
        document = [_change(change) for change in changes]
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        console = Console()
        for change in changes if dry_run else ():
            _print_change(console, change)
        console.print(Text(_summary(changes, dry_run)))
    if detailed and changes:
        raise typer.Exit(ExitCode.DRIFT)


def warn(changes: Iterable[Change]) -> None:
    """Tell on standard error what was written and is perhaps not meant."""
    for said in hostroles.doubts(changes):
        typer.echo(f"warning: {said}", err=True)


def _agree(store: Store, request: importer.Request, ticket: str | None) -> importer.Request:
    """Show what would be removed and ask; return the request with what was agreed to."""
    planned = importer.import_files(store, request, dry_run=True, ticket=ticket)
    gone = importer.removals(planned)
    if gone:
        console = Console(stderr=True)
        for change in planned:
            if change.action == "delete":
                _print_change(console, change)
        count = f"{len(gone)} object{'s' if len(gone) > 1 else ''}"
        if not sys.stdin.isatty():
            raise InvalidInputError(f"this would remove {count}: say --yes where nobody can be asked")
        typer.confirm(f"Remove {count}?", abort=True, err=True)
    return dataclasses.replace(request, agreed=gone)


def _print_change(console: Console, change: Change) -> None:
    """Print a change; one with several fields has a line for each."""
    first, *rest = change.lines()
    style = STYLES[change.action]
    console.print(Text(first, style=style), soft_wrap=True)
    for line in rest:
        console.print(Text(line), soft_wrap=True)


def export(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    form: Annotated[Form, typer.Option("--format", help="YAML is all of it, CSV is one kind.")] = Form.YAML,
    kind: Annotated[str | None, typer.Option("--kind", help="With csv: what to list, as `host`.")] = None,
    excel: Annotated[
        bool, typer.Option("--excel", help="With csv: mark the text as UTF-8 the way Excel wants it.")
    ] = False,
) -> None:
    """Print the CMDB, or one kind of it as a table, as a file that can be imported again."""
    if (form is Form.CSV) != (kind is not None) or (excel and form is not Form.CSV):
        raise InvalidInputError("--format csv and --kind go together, as --format csv --kind host")
    store = Store.open()
    text = exporter.export(store) if kind is None else csvfile.export(store, kind)
    if excel:
        text = "\ufeff" + text
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)


def _change(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("kind", "key", "action", "before", "after")}


def _summary(changes: Sequence[Change], dry_run: bool) -> str:
    if not changes:
        return "nothing to change: the CMDB is as the file says"
    counts = {action: sum(change.action == action for change in changes) for action in WORDS}
    done = ", ".join(f"{count} {WORDS[action]}" for action, count in counts.items() if count)
    return f"would be {done}; nothing was written" if dry_run else done


def _write(path: Path, text: str) -> None:
    """Write a file completely or not at all; what a link points at, and into a device or a pipe."""
    real = path.resolve()
    new = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        if real.exists() and not real.is_file():
            real.write_text(text, encoding="utf-8")
            return
        new.write_text(text, encoding="utf-8")
        new.replace(real)
    except OSError as error:
        raise InvalidInputError(f"{path}: the file cannot be written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)
