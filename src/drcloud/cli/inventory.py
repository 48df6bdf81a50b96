"""``drcloud inventory``: what Ansible sees of the CMDB, and the SSH configuration that goes with it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from drcloud.cli import inventory_view, names
from drcloud.cli.table import screen
from drcloud.cmdb import inventory, snapshot, sourcefile, ssh
from drcloud.cmdb.difference import Difference
from drcloud.cmdb.explanation import Explanation, Reason
from drcloud.cmdb.sourcefile import SourceFile
from drcloud.cmdb.store import Store

app = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[
    Path | None,
    typer.Option("-i", "--source", help="The *.cmdb.yml; without it, DRCLOUD_INVENTORY or all hosts."),
]


@app.command()
def hosts(
    as_json: bool = typer.Option(
        False, "--json", help="Print each host with its groups and variables as JSON."
    ),
) -> None:
    """List the hosts that playbooks see: everything that is not retired."""
    rows = snapshot.read(Store.open())
    found = inventory.build(rows)
    if not as_json:
        screen(highlight=True).print(_table(rows, found))
        return
    groups = inventory.groups_by_host(found.groups)
    document = [
        {"name": name, "groups": sorted(groups[name]), "variables": found.hosts[name]}
        for name in sorted(found.hosts)
    ]
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


@app.command()
def explain(
    host: Annotated[
        str,
        typer.Argument(
            help="The host, by its name in the CMDB or in the inventory.", autocompletion=names.of("host")
        ),
    ],
    group: Annotated[str, typer.Argument(help="The group, as Ansible calls it.")],
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Say which rule puts a host into a group of the inventory, or why none does."""
    told = inventory_view.explain(_source(source), host, group)
    if as_json:
        typer.echo(json.dumps({"member": told.member, **asdict(told)}, ensure_ascii=False, indent=2))
        return
    Console(highlight=False).print(_explanation(told), soft_wrap=True)


@app.command()
def diff(
    before: Annotated[
        str, typer.Argument(metavar="T1", help="A change's number, a time, 2h (ago), or ticket:NAME.")
    ],
    after: Annotated[str, typer.Argument(metavar="T2", help="The same; without it, now.")] = "now",
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Show what changed in the inventory between two times: hosts, their groups and their variables."""
    found = inventory_view.diff(_source(source), before, after)
    if as_json:
        typer.echo(json.dumps(found.as_document(), ensure_ascii=False, indent=2))
        return
    Console(highlight=False).print(_difference(found), soft_wrap=True)


@app.command("ssh-config")
def ssh_config(
    directory: Path | None = typer.Option(
        None, help="Where config and known_hosts belong; ~/.local/state/drcloud/ssh if not given."
    ),
    identity_file: Path | None = typer.Option(None, help="The private key to log in with."),
    write: bool = typer.Option(
        False, "--write", help="Write both files there instead of printing the first."
    ),
) -> None:
    """Print the OpenSSH configuration of the fleet: each host through its bastion, host keys as pinned."""
    rows = snapshot.read(Store.open())
    folder = (directory or ssh.default_directory()).expanduser().absolute()
    identity = None if identity_file is None else str(identity_file.expanduser().absolute())
    if not write:
        typer.echo(ssh.config_text(rows, identity, str(folder / ssh.KNOWN_HOSTS)), nl=False)
        return
    ssh.write(rows, folder, identity)
    typer.echo(f"Log in with: ssh -F {folder / ssh.CONFIG} HOST")


def _source(given: Path | None) -> SourceFile:
    """Return the source that was given, that the environment names, or the one that asks for everything."""
    named = os.environ.get("DRCLOUD_INVENTORY", "")
    if given is None and named.endswith(sourcefile.SUFFIXES):
        given = Path(named)
    return SourceFile(None) if given is None else sourcefile.load(given.expanduser())


def _table(rows: snapshot.Snapshot, found: inventory.Inventory) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("host", "role", "state", "rack", "address", "through", "runs"):
        table.add_column(title, overflow="fold")
    for row in rows.hosts:
        if row.name not in found.hosts:
            continue
        runs = [f"{entry['app']}@{entry['env']}" for entry in found.hosts[row.name].get("dr_placements", [])]
        cells = (row.name, row.role, row.state, row.rack, row.address, row.ssh_via, " ".join(runs))
        table.add_row(*(escape(cell or "") for cell in cells))
    return table


def _explanation(told: Explanation) -> Text:
    states = {
        True: ("is in", "green"),
        False: ("is not in", "yellow"),
        None: ("may be in, only Ansible can tell,", "yellow"),
    }
    words, colour = states[told.member]
    text = Text.assemble(f"{told.host} ", (words, colour), f" {told.group}:")
    reasons = told.because or [*told.against, *told.unknown]
    for reason in reasons:
        text.append(f"\n  {_reason(reason)}")
    return text


def _reason(reason: Reason) -> str:
    through = f", through {reason.through}" if reason.through else ""
    return f"{reason.rule}{through}: {reason.detail}"


def _difference(found: Difference) -> Text:
    text = Text()
    for host in found.added:
        text.append(f"+ {host}\n", "green")
    for host in found.removed:
        text.append(f"- {host}\n", "red")
    for change in found.changed:
        text.append(f"~ {change.host}\n", "yellow")
        for sign, groups in (("+", change.joined), ("-", change.left)):
            if groups:
                text.append(f"    {sign} {' '.join(groups)}\n")
        for name, value in change.variables.items():
            before, after = (json.dumps(value[side], ensure_ascii=False) for side in ("before", "after"))
            text.append(f"    {name}: {before} -> {after}\n")
    if not found:
        return Text("nothing changed in the inventory")
    text.rstrip()
    return text
