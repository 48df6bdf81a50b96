"""``drcloud cmdb backup``, ``restore`` and ``upgrade``: the CMDB as one file, and from one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from drcloud.cli.table import print_json
from drcloud.cmdb import backup as backups
from drcloud.cmdb import restore as restores
from drcloud.cmdb import schema
from drcloud.cmdb.archive import Header
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, InvalidInputError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="A new file; by default named by the time, in this directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the whole CMDB into one file, as one state of it, while others go on working."""
    path = file or Path(backups.default_name())
    _tell(_written(Store.at(), path), path, "backed up into", as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `drcloud cmdb backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Lose the CMDB that is there; without, it has to be empty.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before replacing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a backup back, on SQLite or PostgreSQL whichever it came from; all of it or nothing."""
    store = Store.at(missing_ok=True)
    if replace and not yes:
        _agree(store)
    with _progress("restoring") as progress:
        header = restores.into(store, file, replace=replace, progress=progress)
    _tell(header, file, f"restored into {store.label} from", as_json)


def upgrade(
    to: Annotated[
        Path | None,
        typer.Option("--backup", help="Where the backup of before goes; it has a place of its own."),
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Take no backup before.")] = False,
) -> None:
    """Bring the CMDB's schema to the one of this program; what it was is backed up first."""
    upgrade_store(Store.at(), to, backed_up=not no_backup)


def upgrade_store(store: Store, to: Path | None = None, *, backed_up: bool = True) -> None:
    """Upgrade a CMDB and say what was done."""
    found = store.revision()
    schema.refuse_newer(found, store.label)
    console = Console()
    if found not in (None, schema.revisions()[-1]) and backed_up:
        path = to or (store.file.parent if store.file else Path()) / backups.default_name(f"cmdb-{found}")
        _written(store, path)
        console.print(Text(f"backed up into {path}, as it was with schema {found}"), soft_wrap=True)
    before, after = store.upgrade()
    done = "is up to date" if before == after else f"upgraded from {before or 'nothing'}"
    console.print(Text(f"CMDB {store.label}: schema {after}, {done}"), soft_wrap=True)


def _written(store: Store, path: Path) -> Header:
    with _progress("backing up") as progress:
        return backups.write(store, path, progress)


def _agree(store: Store) -> None:
    """Ask before a CMDB is replaced; one that holds nothing is replaced without asking."""
    try:
        with store.read() as session:
            if restores.is_empty(session.connection()):
                return
    except CmdbError as error:
        if not sys.stdin.isatty():
            raise InvalidInputError(f"{error}; to replace it anyway, say --yes") from error
    if not sys.stdin.isatty():
        raise InvalidInputError(f"this would replace CMDB {store.label}: say --yes where nobody can be asked")
    typer.confirm(f"Lose everything in CMDB {store.label}?", abort=True, err=True)


@contextmanager
def _progress(what: str) -> Iterator[backups.Progress]:
    """Show how far long work is, on a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _tell(header: Header, path: Path, done: str, as_json: bool) -> None:
    if as_json:
        rows = {name: count for name, (_, count) in header.tables.items()}
        names = ("schema", "program", "engine", "at", "declared_seq")
        print_json({"file": str(path), **{name: getattr(header, name) for name in names}, "rows": rows})
    else:
        line = (
            f"{done} {path}: {header.rows} rows, schema {header.schema}, up to change {header.declared_seq}"
        )
        Console().print(Text(line), soft_wrap=True)
