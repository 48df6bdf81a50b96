"""``drcloud schedule``: playbooks that run by the calendar, as systemd timers."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document, run_request
from drcloud.cli.table import screen
from drcloud.cmdb.store import Store
from drcloud.errors import NothingMatchedError
from drcloud.runs import RunRequest
from drcloud.runs import schedule as schedules
from drcloud.runs.schedule import Place

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The schedule.", autocompletion=names.of("schedule"))]
User = Annotated[bool, typer.Option("--user", help="For your own systemd manager, without root.")]
Directory = Annotated[
    Path | None, typer.Option("--directory", help="Where units go. Default: /etc/systemd/system.")
]


@app.command("list")
def list_(*, directory: Directory = None, user: User = False, as_json: Json = False) -> None:
    """List the schedules that the CMDB declares, and which have a timer here."""
    here = schedules.installed(Place.of(user=user, directory=directory).directory)
    found = [
        asdict(one) | {"installed": one.name in here} for one in schedules.declared_schedules(Store.open())
    ]
    if as_json:
        print_document({"schedules": found})
        return
    table = Table(box=None)
    for title in ("schedule", "playbook", "calendar", "inventory", "timer"):
        table.add_column(title, overflow="fold")
    for one in found:
        row = (one["name"], one["playbook"], one["calendar"], one["inventory"] or "default")
        table.add_row(*row, "installed" if one["installed"] else "-")
    screen(highlight=True).print(table)


@app.command()
def show(
    name: Name,
    *,
    directory: Directory = None,
    user: User = False,
    run_as: str | None = None,
    as_json: Json = False,
) -> None:
    """Show a schedule and the units that install would write."""
    store = Store.open()
    place = Place.of(user=user, directory=directory, run_as=run_as)
    schedule = schedules.find(store, name)
    files = schedules.unit(schedule, store, place, os.environ).files()
    if as_json:
        print_document(asdict(schedule) | {"directory": str(place.directory), "units": files})
        return
    for file, text in files.items():
        typer.echo(f"# {place.directory / file}\n{text}")


@app.command()
def install(
    name: Annotated[
        str | None,
        typer.Argument(help="The schedule; all when left away.", autocompletion=names.of("schedule")),
    ] = None,
    *,
    directory: Directory = None,
    user: User = False,
    run_as: Annotated[
        str | None, typer.Option("--run-as", help="Account that runs it. Default: you.")
    ] = None,
    enable: Annotated[bool, typer.Option("--enable", help="Also start the timers.")] = False,
) -> None:
    """Write a systemd service and timer for each declared schedule; a second time changes nothing.

    It will run in this directory and with this interpreter, as it would run now. Secrets go into
    the environment file that the service names.
    """
    store = Store.open()
    place = Place.of(user=user, directory=directory, run_as=run_as)
    chosen = [schedules.find(store, name)] if name else schedules.declared_schedules(store)
    if not chosen:
        raise NothingMatchedError(
            "the CMDB declares no schedules: put them under `schedules` in the CMDB file and import it"
        )
    units = [schedules.unit(one, store, place, os.environ) for one in chosen]
    for unit in units:  # all of them first: nothing half-written
        schedules.check_calendar(unit.calendar, unit.name)
        schedules.verify(unit)
    for unit in units:
        changed = schedules.install(unit, place.directory)
        typer.echo(f"{unit.timer_name}: {'written' if changed else 'unchanged'} in {place.directory}")
    _tell_missing(store, place)
    timers = [unit.timer_name for unit in units]
    if enable:
        schedules.systemctl(place, "daemon-reload")
        schedules.systemctl(place, "enable", "--now", *timers)
        typer.echo(f"enabled {' '.join(timers)}")
    else:
        manager = "systemctl" if place.system else "systemctl --user"
        typer.echo(f"start with: {manager} daemon-reload && {manager} enable --now {' '.join(timers)}")


def _tell_missing(store: Store, place: Place) -> None:
    missing = schedules.missing_secrets(store, place)
    if missing:
        typer.echo(f"still to be written into {place.environment_file} (mode 0600): {', '.join(missing)}")


@app.command()
def remove(
    name: Name,
    *,
    directory: Directory = None,
    user: User = False,
    disable: Annotated[bool, typer.Option("--disable", help="Also stop the timer.")] = False,
) -> None:
    """Remove the units of a schedule; the CMDB keeps the schedule."""
    place = Place.of(user=user, directory=directory)
    if disable:
        schedules.systemctl(place, "disable", "--now", f"drcloud-{name}.timer")
    removed = schedules.remove(name, place.directory)
    if not removed:
        raise NothingMatchedError(f"schedule {name} has no units in {place.directory}")
    if disable:
        schedules.systemctl(place, "daemon-reload")
    typer.echo(f"removed {' '.join(removed)} from {place.directory}")


@app.command()
def run(name: Name, *, as_json: Json = False) -> int:
    """Run a schedule's playbook now; what its timer calls."""
    store = Store.open()
    schedule = schedules.find(store, name)
    request = RunRequest(
        playbook=schedule.playbook, inventory=schedule.inventory, source=f"schedule:{name}"[:64]
    )
    outcome = run_request(request, store=store, json=as_json)
    if as_json:
        print_document(outcome.document())
    return outcome.exit_code
