"""``drcloud compliance``: judge the hosts, report what is known, list the controls."""

from __future__ import annotations

import json as jsonlib
import tempfile
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cli.table import screen
from drcloud.cmdb.store import Store
from drcloud.compliance import junit as junits
from drcloud.compliance import replay
from drcloud.compliance.controls import ALL, Control
from drcloud.compliance.outcome import Report
from drcloud.compliance.report import STYLES, show
from drcloud.errors import InvalidInputError, NothingMatchedError
from drcloud.exitcodes import ExitCode
from drcloud.runs import RunOutcome

PLAYBOOK = "dianrong.cloud.compliance"
app = typer.Typer(no_args_is_help=True)


class Threshold(StrEnum):
    """The lowest severity of findings that makes the command fail."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


ThresholdOption = Annotated[
    Threshold, typer.Option("--threshold", help="The lowest severity that makes the command fail.")
]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report to this file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command()
def run(
    inventory: Annotated[
        list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", "-l", help="Only these hosts or groups.")] = None,
    threshold: ThresholdOption = Threshold.HIGH,
    junit: JunitOption = None,
    json: JsonOption = False,
    forks: Annotated[int | None, typer.Option("--forks", "-f", help="Hosts at a time.")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", min=1, help="Seconds for all of it.")] = None,
) -> int:
    """Look at all hosts, judge them and record the findings; changes nothing on them.

    Exits with 10 for findings at or above the threshold, with 11 when a host or an object was not seen.
    """
    with tempfile.TemporaryDirectory(prefix="drcloud-compliance-") as directory:
        path = Path(directory) / "report.json"
        outcome = run_playbook(
            PLAYBOOK,
            inventory=tuple(inventory or ()),
            extra_vars={"compliance_threshold": threshold.value, "compliance_report": str(path)},
            recorded=("compliance_threshold",),
            limit=limit,
            forks=forks,
            timeout=timeout,
            json=json,
        )
        report = _read(path, threshold, outcome)
    _publish(report, junit, json, {"run": outcome.document()})
    return ExitCode.INCOMPLETE if outcome.ok and not report.hosts else outcome.exit_code


@app.command("report")
def report_command(
    hosts: Annotated[
        list[str] | None, typer.Argument(help="Only these hosts.", autocompletion=names.of("host"))
    ] = None,
    threshold: ThresholdOption = Threshold.HIGH,
    max_age: Annotated[
        float, typer.Option("--max-age", min=0, help="Hours after which evidence is worth nothing.")
    ] = 48.0,
    junit: JunitOption = None,
    json: JsonOption = False,
) -> int:
    """Judge the newest evidence in the CMDB again, without touching a host; same exit codes as ``run``."""
    with Store.open().read() as session:
        report = replay.report(session, threshold.value, timedelta(hours=max_age), hosts or ())
    if not any(host.controls for host in report.hosts):
        raise NothingMatchedError("there is no evidence in the CMDB yet: run `drcloud compliance run`")
    _publish(report, junit, json, {})
    return report.exit_code


@app.command()
def controls(
    json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of the documentation.")
    ] = False,
) -> None:
    """List the controls."""
    if json:
        print_document({"controls": [_described(control) for control in ALL]})
        return
    rows = [
        (control.slug, control.severity, ", ".join(control.cis.get("1.6.0", ())), control.title)
        for control in ALL
    ]
    names = ("Control", "Severity", "CIS 1.6", "What it demands")
    if markdown:
        typer.echo(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
        for slug, severity, numbers, title in rows:
            typer.echo(f"| `{slug}` | {severity.label} | {numbers or '—'} | {title} |")
        return
    table = Table()
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name == "Control")
    for slug, severity, numbers, title in rows:
        table.add_row(slug, f"[{STYLES[severity]}]{severity.label}[/]", numbers, escape(title))
    screen().print(table)


def _read(path: Path, threshold: Threshold, outcome: RunOutcome) -> Report:
    if path.exists():
        return Report.model_validate(jsonlib.loads(path.read_text(encoding="utf-8")))
    return Report(threshold=threshold.value, trouble=f"the run came to no verdict: {outcome.message}")


def _publish(report: Report, junit: Path | None, json: bool, more: dict[str, Any]) -> None:
    if junit:
        try:
            junit.write_text(junits.render(report), encoding="utf-8")
        except OSError as error:
            raise InvalidInputError(f"cannot write the JUnit report {junit}: {error.strerror}") from error
    if json:
        print_document({**report.document(), **more})
    else:
        show(report, screen())


def _described(control: Control) -> dict[str, Any]:
    return {
        "control": control.slug,
        "title": control.title,
        "severity": control.severity.label,
        "cis": {version: list(numbers) for version, numbers in control.cis.items()},
        "rationale": control.rationale,
        "remediation": control.remediation,
    }
