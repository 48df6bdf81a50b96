"""The report for people: what is wrong first, then the count by control, then the coverage."""

from __future__ import annotations

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
    findings = _findings(report)
    if findings.rows:
        console.print(findings)
    for host in report.hosts:
        for fixed in host.fixed:
            console.print(f"[green]fixed[/] {escape(host.host)}: {escape(fixed)}", highlight=False)
    for host in report.unseen:
        console.print(f"[red]not seen[/] {escape(host.host)}: {escape(host.reason)}", highlight=False)
    for name, why in sorted(report.not_expected.items()):
        console.print(f"[dim]not expected[/] {escape(name)}: {escape(why)}", highlight=False)
    style = "green" if report.exit_code == ExitCode.OK else "red"
    console.print(f"[{style}]{escape(report.sentence)}[/]", highlight=False)


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


def _findings(report: Report) -> Table:
    table = Table(title="Findings, the worst first", title_justify="left")
    for name in ("Severity", "State", "Host", "Control", "What"):
        table.add_column(name, overflow="fold", no_wrap=name in ("Severity", "State", "Host"))
    # What nobody could look at on a host that was not seen stands in one line below the table.
    rows = [
        (outcome.severity, problem.status == Status.UNKNOWN, host.host, outcome.control, problem)
        for status in (Status.FAIL, Status.UNKNOWN)
        for host, outcome, problem in report.problems(status)
        if host.seen or status == Status.FAIL
    ]
    rows.sort(key=lambda row: (row[1], -row[0], *row[2:4]))
    for severity, unknown, host_name, control, problem in rows:
        state = "unknown" if unknown else problem.state or "-"
        label = f"[{STYLES[severity]}]{severity.label}[/]"
        table.add_row(label, state, escape(host_name), control, escape(problem.message))
    return table
