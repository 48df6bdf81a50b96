"""``drcloud logs``: what apps and hosts said, read back from the central log."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from drcloud.cli import names
from drcloud.cli.table import print_json, print_table
from drcloud.cmdb import snapshot, ssh
from drcloud.cmdb.snapshot import Snapshot
from drcloud.cmdb.store import Store
from drcloud.doctor.context import site
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode
from drcloud.logs import health as healths
from drcloud.logs import request as requests
from drcloud.logs import servers
from drcloud.logs.request import Request
from drcloud.runs import inventory as inventories

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
LOUD = ("emerg", "alert", "crit", "err", "warning")


def logs(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    app: Annotated[
        str | None,
        typer.Argument(
            help="The app; without one, --host shows a host's own log.", autocompletion=names.of("app")
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", help="The environment, as in prod.", autocompletion=names.of("environment")),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="From then on: 10m, 2h, 3d ago, or 2026-03-01T14:00 (UTC).")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Only of this host; may be repeated.", autocompletion=names.of("host")),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=1, help="Only the last so many. Default: 100, with --since all."),
    ] = None,
    health: Annotated[
        bool, typer.Option("--health", help="Show which hosts report, and what was lost on the way.")
    ] = False,
    inventory: Annotated[
        list[str] | None,
        typer.Option(
            "--inventory",
            "-i",
            help="The *.cmdb.yml source of the hosts. Default: $DRCLOUD_INVENTORY, $ANSIBLE_INVENTORY, "
            "the CMDB.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds to wait for a log server.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one record a line.")] = False,
) -> int:
    """Show what an app said, on all its hosts, in the order of time; each line once."""
    store, identity = _source(inventory or [])
    rows = snapshot.read(store)
    with _tidy_end(), _configuration(rows, identity) as config:
        if health:
            return _health(rows, config, as_json)
        with store.read() as session:
            names = requests.checked(session, app, env, host or [])
        first = None if since is None else requests.moment(since, datetime.now(UTC))
        count = lines if lines is not None or since is not None else 100
        wanted = Request(*names, tuple(host or ()), first, count, follow)
        _show(rows, config, wanted, as_json)
    return ExitCode.OK


def _source(given: list[str]) -> tuple[Store, str | None]:
    """Return the CMDB and the key that opens its hosts, as the inventory source says."""
    with tempfile.TemporaryDirectory(prefix="drcloud-logs-") as directory:
        sources = inventories.resolve(given, os.environ, Path(directory))
        known = [place for source in sources if (place := site(source)) is not None]
    if len(known) > 1:
        raise InvalidInputError("the inventory names several CMDBs: give the one to ask with -i")
    return (Store.open(known[0].url), known[0].identity_file) if known else (Store.open(), None)


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do what Ctrl-C does: without that, ssh and its configuration stay."""

    def end(*_: object) -> None:
        for number in ENDINGS:
            # Whoever says it twice does not interrupt the tidying up.
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    # What is ignored already was meant to be, as by nohup.
    ours = [number for number in ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _configuration(rows: Snapshot, identity: str | None) -> Iterator[Path]:
    """Have the fleet's SSH configuration for a while."""
    with tempfile.TemporaryDirectory(prefix="drcloud-logs-") as directory:
        ssh.write(rows, directory, identity)
        yield Path(directory) / ssh.CONFIG


def _show(rows: Snapshot, config: Path, wanted: Request, as_json: bool) -> None:
    with servers.connected(servers.named(rows), config, servers.bastions(rows)) as connected:
        try:
            for record in servers.read(connected, wanted):
                text = json.dumps(record, ensure_ascii=False) if as_json else line(record, wanted.app)
                sys.stdout.write(text + "\n")
                if wanted.follow:
                    sys.stdout.flush()
        except KeyboardInterrupt:
            # How following ends.
            if not wanted.follow:
                raise
        finally:
            _warn(connected)


def _warn(lines: list[servers.Line]) -> None:
    """Show what servers say of themselves."""
    for server in lines:
        if server.note:
            print(f"log server {server.server} {server.note}", file=sys.stderr)


def line(record: dict[str, Any], app: str) -> str:
    """Return a record as a person reads it; what a program said cannot steer the terminal."""
    who = record.get("container") if not app.startswith("_") else record.get("program")
    severity = record.get("severity")
    loud = f"{severity}: " if severity in LOUD else ""
    time = str(record.get("time", ""))[:23]
    words = (time, record.get("host"), who, record.get("tag"))
    head = " ".join(_plain(str(word)) for word in words if word)
    return f"{head} | {loud}{_plain(str(record.get('message', '')))}"


def _plain(text: str) -> str:
    return "".join(mark if mark.isprintable() or mark == "\t" else repr(mark)[1:-1] for mark in text)


def _health(rows: Snapshot, config: Path, as_json: bool) -> int:
    """Show the last report of each host; a host that should report and does not is incomplete coverage."""
    wanted = Request(requests.HEALTH, requests.NO_ENV, since=healths.first(datetime.now(UTC)))
    with servers.connected(servers.named(rows), config, servers.bastions(rows)) as connected:
        found = healths.reports(rows, servers.read(connected, wanted))
        _warn(connected)
    if as_json:
        print_json(found)
    else:
        print_table(healths.COLUMNS, ([row.get(name) for name in healths.COLUMNS] for row in found))
    return ExitCode.INCOMPLETE if any(row["at"] is None for row in found) else ExitCode.OK
