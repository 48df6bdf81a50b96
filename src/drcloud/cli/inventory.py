"""``drcloud inventory``: what Ansible sees of the CMDB, and the SSH configuration that goes with it."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drcloud.cmdb import inventory, snapshot, ssh
from drcloud.cmdb.store import Store

app = typer.Typer(no_args_is_help=True)


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
        Console().print(_table(rows, found))
        return
    groups = inventory.groups_by_host(found.groups)
    document = [
        {"name": name, "groups": sorted(groups[name]), "variables": found.hosts[name]}
        for name in sorted(found.hosts)
    ]
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


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
