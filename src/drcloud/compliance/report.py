"""The report for people: what is wrong first, then the count by control, then the coverage."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drcloud.compliance.controls import ALL, Severity, Status
from drcloud.compliance.outcome import Report
from drcloud.exitcodes import ExitCode

STYLES = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "dim"}
STATUSES = (Status.PASS, Status.FAIL, Status.UNKNOWN, Status.NOT_APPLICABLE)


def show(report: Report, console: Console) -> None:
    """Print the report."""
    if any(host.controls for host in report.hosts):
        console.print(_summary(report))
    lines = list(_findings(report))
    if lines:
        console.print(
            "[italic]Findings, the worst first[/]", *lines, sep="\n", highlight=False, soft_wrap=True
        )
    for host in report.hosts:
        for fixed in host.fixed:
            console.print(
                f"[green]fixed[/] {escape(host.host)}: {escape(fixed)}", highlight=False, soft_wrap=True
            )
    for host in report.unseen:
        console.print(
            f"[red]not seen[/] {escape(host.host)}: {escape(host.reason)}", highlight=False, soft_wrap=True
        )
    for name, why in sorted(report.not_expected.items()):
        console.print(f"[dim]not expected[/] {escape(name)}: {escape(why)}", highlight=False, soft_wrap=True)
    style = "green" if report.exit_code == ExitCode.OK else "red"
    console.print(f"[{style}]{escape(report.sentence)}[/]", highlight=False, soft_wrap=True)


def _summary(report: Report) -> Table:
    table = Table(title="Hosts by control", title_justify="left")
    for name in ("Control", "Severity"):
        table.add_column(name, no_wrap=True)
    for status in STATUSES:
        table.add_column("n/a" if status == Status.NOT_APPLICABLE else status.value, justify="right")
    for control in ALL:
        counts = [_hosts(report, control.slug, status) for status in STATUSES]
        severity = f"[{STYLES[control.severity]}]{control.severity.label}[/]"
        table.add_row(control.slug, severity, *(str(count or "·") for count in counts))
    return table


def _hosts(report: Report, slug: str, status: Status) -> int:
    return sum(
        outcome.control == slug and outcome.status == status
        for host in report.hosts
        for outcome in host.controls
    )


def _findings(report: Report) -> Iterator[str]:
    # What nobody could look at on a host that was not seen is said once, below.
    rows = [
        (problem.status == Status.UNKNOWN, -outcome.severity, host.host, outcome, problem)
        for status in (Status.FAIL, Status.UNKNOWN)
        for host, outcome, problem in report.problems(status)
        if host.seen or status == Status.FAIL
    ]
    for unknown, _, host_name, outcome, problem in sorted(rows, key=lambda row: (*row[:3], row[3].control)):
        state = "unknown" if unknown else problem.state or ""
        label = f"[{STYLES[outcome.severity]}]{outcome.severity.label:8}[/]"
        yield f"{label} {state:9} {escape(host_name)} {outcome.control}: {escape(problem.message)}"
