"""``drcloud host``: the hosts of the CMDB, what one has and carries, and to make it what it should be."""

from __future__ import annotations

from typing import Annotated

import typer

from drcloud.cli import adopt, host_card, service
from drcloud.cli import names as complete
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cli.table import print_json, print_table, screen
from drcloud.cmdb import hostcard, hostlist, lookup
from drcloud.cmdb.hostlist import HostLine
from drcloud.cmdb.selection import GONE, Selection
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode

PLAYBOOK = "dianrong.cloud.provision"
COLUMNS = ("name", "role", "state", "rack", "address", "engine", "cpus", "memory", "placed")

app = typer.Typer(no_args_is_help=True)
app.command()(adopt.adopt)
app.command()(service.drain)
app.command()(service.quarantine)
app.command()(service.decommission)
app.command()(service.upgrade)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="HOST…", help="The hosts, by their names in the CMDB.", autocompletion=complete.of("host")
    ),
]


@app.command("list")
def list_(
    role: Annotated[list[str] | None, typer.Option("--role", help="Only hosts of this role.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="Only hosts in this state.")] = None,
    idc: Annotated[
        list[str] | None,
        typer.Option("--idc", help="Only hosts of this IDC.", autocompletion=complete.of("idc")),
    ] = None,
    placed_app: Annotated[
        list[str] | None,
        typer.Option(
            "--app", help="Only hosts that run or balance this app.", autocompletion=complete.of("app")
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            help="Only hosts that run or balance something there.",
            autocompletion=complete.of("environment"),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the hosts of the CMDB; options may be given several times. Retired ones only when asked for."""
    chosen = {"role": role, "state": state, "idc": idc, "app": placed_app, "env": env}
    selection = Selection(**{name: tuple(values or ()) for name, values in chosen.items()})
    found = hostlist.read(Store.open(), selection)
    if as_json:
        print_json([one.as_document() for one in found])
    else:
        print_table(COLUMNS, ([_cell(one, name) for name in COLUMNS] for one in found))


def _cell(line: HostLine, name: str) -> object:
    value = getattr(line, name)
    return host_card.size(value) if name == "memory" and value is not None else value


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="HOST", help="The host, by its name in the CMDB.", autocompletion=complete.of("host")
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show all that is known of a host: place, addresses, disks, certificates, and what is left of it."""
    card = hostcard.read(Store.open(), name)
    if as_json:
        print_json(card.as_document())
        return
    console = screen()
    for part in host_card.parts(card):
        console.print(part)


@app.command()
def provision(
    names: Names,
    check: Annotated[bool, typer.Option("--check", "-C", help="Change nothing, tell what would be.")] = False,
    diff: Annotated[bool, typer.Option("--diff", "-D", help="Show differences.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="With --check: exit 12 when changes are pending.")
    ] = False,
    inventory: Annotated[
        list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=1, help="Seconds until it is stopped.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Make hosts what the CMDB declares; a second time there is nothing to do."""
    store = Store.open()
    _require_known(store, names)
    outcome = run_playbook(
        PLAYBOOK,
        inventory=tuple(inventory or ()),
        limit=",".join(dict.fromkeys(names)),
        check=check,
        diff=diff,
        timeout=timeout,
        json=as_json,
        store=store,
    )
    if as_json:
        print_document(outcome.document())
    pending = detailed_exitcode and check and outcome.ok and outcome.changed
    return ExitCode.DRIFT if pending else outcome.exit_code


def _require_known(store: Store, names: list[str]) -> None:
    """Refuse a host that the CMDB does not know or has retired, before a playbook starts."""
    with store.read() as session:
        for name in names:
            if lookup.host(session, name).state == GONE:
                raise InvalidInputError(
                    f"host {name} is retired and not under management any more: declare it as a new host"
                )
