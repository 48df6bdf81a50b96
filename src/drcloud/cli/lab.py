"""``drcloud lab``: real Docker hosts on this machine."""

from __future__ import annotations

import json
import shlex
import time

import typer
from rich.table import Table
from rich.text import Text

from drcloud.cli.table import screen
from drcloud.errors import NothingMatchedError, UnreachableError
from drcloud.lab import playbook, status
from drcloud.lab.identity import locate

app = typer.Typer(no_args_is_help=True)


@app.command()
def up() -> None:
    """Boot the lab of this checkout, or complete what is there of it."""
    lab, begun = locate(), time.monotonic()
    playbook.play(lab, "lab_up.yml")
    now, seconds = status.read(lab), time.monotonic() - begun
    typer.echo(
        f"The lab {lab.id} is up after {seconds:.0f} s: {len(now.hosts)} hosts in {now.subnet}.\n"
        f'To use it: eval "$(drcloud lab env)"'
    )


@app.command()
def down() -> None:
    """Take the lab of this checkout away, in whatever state it is; the image cache stays."""
    lab = locate()
    playbook.play(lab, "lab_down.yml")
    typer.echo(f"The lab {lab.id} is gone.")


@app.command("status")
def show(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show the lab's hosts and whether each answers."""
    lab = locate()
    now = status.read(lab)
    if as_json:
        typer.echo(json.dumps(now.as_dict(), indent=2))
    elif now.present:
        _table(now)
    if not now.present:
        raise NothingMatchedError(f"there is no lab {lab.id}: run `drcloud lab up`")
    if not now.ready:
        silent = [host.name for host in now.hosts if not host.ssh]
        raise UnreachableError(
            f"the lab {lab.id} is not complete ({', '.join(silent) or 'its engine'}): run `drcloud lab up`"
        )


@app.command()
def env() -> None:
    """Print shell variables that make drcloud, Ansible and Docker use this lab, for eval."""
    for name, value in status.environment(locate()).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _table(now: status.LabStatus) -> None:
    console = screen(highlight=True)
    # A title of the table would be folded to its width.
    title = f"lab {now.id}, {now.subnet}, engine {now.docker_host}"
    console.print(Text(title, style="italic"), soft_wrap=True)
    table = Table()
    for column in ("host", "role", "address", "container", "ssh"):
        table.add_column(column)
    for host in now.hosts:
        table.add_row(host.name, host.role, host.address, host.container, "yes" if host.ssh else "no")
    console.print(table)
