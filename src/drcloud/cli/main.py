"""The ``drcloud`` command: its tree, and the one place where errors become exit codes."""

from __future__ import annotations

import sys

import typer

from drcloud import __version__
from drcloud.cli import (
    apps,
    cmdb,
    compliance,
    deploy,
    deployments,
    doctor,
    drift,
    host,
    inventory,
    lab,
    logs,
    maintenance,
    promote,
    release,
    rollback,
    run,
    runs,
    schedule,
)
from drcloud.cli.border import guarded

app = typer.Typer(
    name="drcloud",
    help="A private cloud on plain Docker hosts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(cmdb.app, name="cmdb", help="What should be, what was, and who changed it.")
app.add_typer(inventory.app, name="inventory", help="What Ansible sees of the CMDB.")
app.add_typer(
    host.app, name="host", help="Servers: what they have, what they carry, and how to get them ready."
)
apps.app.command("maintenance")(maintenance.maintenance)
app.add_typer(apps.app, name="app", help="What is delivered, how it runs and where.")
app.add_typer(release.app, name="release", help="Built images, by tag and digest.")
app.add_typer(compliance.app, name="compliance", help="Is it as it should be?")
app.add_typer(runs.app, name="runs", help="What was run, by whom, and how it ended.")
app.add_typer(schedule.app, name="schedule", help="Playbooks that run by the calendar.")
app.add_typer(lab.app, name="lab", help="Real Docker hosts on this machine, to try and to test.")
app.command("init")(cmdb.init)
app.command("doctor")(doctor.doctor)
app.command("build")(release.build)
app.command("promote")(promote.promote)
app.command("deploy")(deploy.deploy)
app.command("rollback")(rollback.rollback)
app.command("status")(deploy.status)
app.command("history")(deployments.history)
app.command("drift")(drift.drift)
app.command("logs")(logs.logs)
app.command("run")(run.run)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"drcloud {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Common options of all commands."""


def main() -> None:
    """Run the command; the entry point of the wheel."""
    sys.exit(guarded(app))
