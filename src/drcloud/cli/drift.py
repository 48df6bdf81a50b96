"""``drcloud drift``: what was observed on hosts and is not what should run there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cli.table import screen
from drcloud.cmdb.drift import UNSEEN
from drcloud.cmdb.store import Store
from drcloud.delivery import drifts
from drcloud.delivery.drifts import Line, Report
from drcloud.exitcodes import ExitCode, most_serious

PLAYBOOK = "dianrong.cloud.observe"


def drift(
    app: Annotated[
        str | None, typer.Option("--app", help="Only this app.", autocompletion=names.of("app"))
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", help="Only this environment.", autocompletion=names.of("environment")),
    ] = None,
    observe: Annotated[
        bool, typer.Option("--observe", help="Look at the hosts first, with dianrong.cloud.observe.")
    ] = False,
    limit: Annotated[
        str | None, typer.Option("--limit", "-l", help="With --observe: look only at these hosts or groups.")
    ] = None,
    inventory: Annotated[
        list[str] | None,
        typer.Option("--inventory", "-i", help="With --observe: an inventory source; default: the CMDB."),
    ] = None,
    max_age: Annotated[
        float, typer.Option("--max-age", min=0.01, help="Hours after which a look counts as stale.")
    ] = drifts.MAX_AGE.total_seconds() / 3600,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Compare what was observed with what should run; asks no host unless told to.

    Exit code 12 where something drifted, 11 where a host was never or not lately looked at.
    """
    store = Store.open()
    codes = [ExitCode.OK]
    if observe:
        found = run_playbook(PLAYBOOK, inventory=tuple(inventory or ()), limit=limit, json=json, store=store)
        codes.append(found.exit_code)
    report = drifts.read(store, app, env, max_age=timedelta(hours=max_age))
    if json:
        print_document(report.as_document())
    else:
        _tell(report)
    return most_serious([*codes, report.exit_code])


def _tell(report: Report) -> None:
    console = screen()
    if report.lines:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("Host", "App", "Kind", "Should run", "Seen", "Slot", "Seen at", "What that is"):
            table.add_column(column, overflow="fold")
        for line in report.lines:
            table.add_row(*_row(line))
        console.print(table)
    unknown = sum(line.drift.kind in UNSEEN for line in report.lines)
    drifted = len(report.lines) - unknown
    verdict = f"[red]{drifted} drifted[/]" if drifted else "[green]none drifted[/]"
    verdict += f", [red]of {unknown} it is not known[/]" if unknown else ""
    console.print(f"of {report.compared} compared {verdict}; {_looks(report)}", soft_wrap=True)


def _row(line: Line) -> tuple[str, ...]:
    one = line.drift
    return (
        escape(one.host),
        escape(one.container or f"{one.app} {one.env}"),
        f"[red]{one.kind}[/]",
        _said(one.desired.tag, one.desired.digest, one.desired.revision) if one.desired else "-",
        _said(one.seen.tag, one.seen.digest, one.seen.revision) if one.seen else "-",
        one.seen.slot if one.seen else "-",
        f"{one.observed_at:%m-%d %H:%M:%S}" if one.observed_at else "never",
        escape(line.meaning),
    )


def _said(tag: str, digest: str, revision: str) -> str:
    return f"{escape(tag)} {digest.removeprefix('sha256:')[:7]} {revision[:8]}"


def _looks(report: Report) -> str:
    if report.oldest is None or report.newest is None:
        return "no host was ever looked at (`drcloud drift --observe` does)"
    return f"looked at between {_ago(report.oldest)} and {_ago(report.newest)} ago"


def _ago(moment: datetime) -> str:
    seconds = max(int((datetime.now(UTC) - moment).total_seconds()), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
