"""``drcloud host drain|quarantine|decommission|upgrade``: hosts out of service, for a while or for good."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from drcloud.cli import names as complete
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cmdb import lookup
from drcloud.cmdb.selection import GONE
from drcloud.cmdb.store import Store
from drcloud.delivery import service
from drcloud.errors import InvalidInputError

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="HOST…", help="The hosts, by their names in the CMDB.", autocompletion=complete.of("host")
    ),
]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Why; kept in the log of changes.", show_default=False)
]
Ticket = Annotated[str | None, typer.Option("--ticket", help="The change ticket.", show_default=False)]
Inventory = Annotated[
    list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
]
Check = Annotated[bool, typer.Option("--check", "-C", help="Touch nothing, tell what would be.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds for the requests that a host has to be finished.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DOCKER = "docker"


def drain(
    names: Names,
    undo: Annotated[bool, typer.Option("--undo", help="Bring them back into service.")] = False,
    reason: Reason = None,
    ticket: Ticket = None,
    wait: Wait = 60,
    inventory: Inventory = None,
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Take Docker hosts out of service for a while: no new requests, and those they have are finished.

    Refused where too few others would stay in service. Containers run on; deploys leave the hosts out only
    where told so. With --undo each app comes back that is up to date there.
    """
    variables = {"undo": undo, "drain_wait": wait}
    return _run("drain", names, variables, reason, ticket, inventory, check=check, as_json=as_json)


def quarantine(
    names: Names,
    end: Annotated[bool, typer.Option("--end", help="Trust them again.")] = False,
    reason: Reason = None,
    ticket: Ticket = None,
    inventory: Inventory = None,
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Take Docker hosts out of service that are not to be trusted, dead ones too, whatever is left.

    Deploys leave them out. With --end each app comes back that is up to date there.
    """
    return _run("quarantine", names, {"end": end}, reason, ticket, inventory, check=check, as_json=as_json)


def decommission(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    names: Names,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason: Reason = None,
    ticket: Ticket = None,
    wait: Wait = 60,
    wipe: Annotated[
        list[str] | None,
        typer.Option(
            "--wipe",
            metavar="SERIAL",
            help="Overwrite this disk with zeroes; may be given several times. A disk without a serial is "
            "named by its WWN, else by its path, as `drcloud host show` has it.",
            show_default=False,
        ),
    ] = None,
    inventory: Inventory = None,
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Take Docker hosts out of service for good: drained, emptied of our containers, retired in the CMDB.

    Their ports and addresses are free then; their disks keep what they hold, but those named with --wipe.
    """
    if wipe and len(set(names)) != 1:
        raise InvalidInputError("disks are wiped of one host at a time: name one host with --wipe")
    if not yes and not check:
        loss = f" and lose what is on {', '.join(wipe)}" if wipe else ""
        typer.confirm(f"Decommission {', '.join(names)} for good{loss}?", abort=True, err=True)
    variables = {"drain_wait": wait, **({"wipe": wipe} if wipe else {})}
    return _run("decommission", names, variables, reason, ticket, inventory, check=check, as_json=as_json)


def upgrade(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HOST…]",
            help="The hosts. Or --all.",
            autocompletion=complete.of("host"),
            show_default=False,
        ),
    ] = None,
    version: Annotated[str, typer.Option("--to", help="The version of the engine's package.")] = "",
    everywhere: Annotated[bool, typer.Option("--all", help="All Docker hosts that are in service.")] = False,
    batch: Annotated[
        int,
        typer.Option(
            "--batch", min=1, help="How many hosts at a time, as far as enough others stay in service."
        ),
    ] = 1,
    ticket: Ticket = None,
    wait: Wait = 60,
    inventory: Inventory = None,
    check: Check = False,
    as_json: Json = False,
) -> int:
    """Upgrade the engine of Docker hosts; no request is lost, and with live-restore no container restarted.

    Each host is drained, upgraded, looked at and brought back. Where that fails the previous version is put
    back and the rest is left alone. An upgrade that was killed is finished by the same command again.
    """
    if not version.strip():
        raise InvalidInputError("say which version of the engine's package with --to VERSION")
    if bool(names) == everywhere:
        raise InvalidInputError("say which hosts, or --all of them")
    variables = {"engine_version": version, "upgrade_batch": batch, "drain_wait": wait}
    return _run(
        "upgrade_engine", names or [], variables, None, ticket, inventory, check=check, as_json=as_json
    )


def _run(
    playbook: str,
    names: list[str],
    variables: dict[str, Any],
    reason: str | None,
    ticket: str | None,
    inventory: list[str] | None,
    *,
    check: bool,
    as_json: bool,
) -> int:
    store = Store.open()
    _require_docker_hosts(store, names)
    given = {**variables, **({"reason": reason} if reason else {}), **({"ticket": ticket} if ticket else {})}
    outcome = run_playbook(
        f"dianrong.cloud.{playbook}",
        inventory=tuple(inventory or ()),
        extra_vars=given,
        recorded=tuple(given),
        limit=",".join(dict.fromkeys(names)) or None,
        check=check,
        diff=check,
        json=as_json,
        store=store,
    )
    back = outcome.ok and not check and (variables.get("undo") or variables.get("end"))
    behind = _behind(store, names) if back else {}
    if as_json:
        print_document({**outcome.document(), **({"behind": behind} if back else {})})
    for name, pools in () if as_json else behind.items():
        for pool, words in pools.items():
            typer.echo(f"{pool} stays drained on {name} until a deploy brings it up to date: {words}")
    return outcome.exit_code


def _behind(store: Store, names: list[str]) -> dict[str, dict[str, str]]:
    """Return what hosts that came back do not serve yet, and why."""
    standing = {name: service.standing(store, name) for name in names}
    return {
        name: behind
        for name, pools in standing.items()
        if (behind := {pool: words for pool, words in pools.items() if words})
    }


def _require_docker_hosts(store: Store, names: list[str]) -> None:
    """Refuse what is no Docker host under management, before a playbook starts."""
    with store.read() as session:
        for name in names:
            host = lookup.host(session, name)
            if host.state == GONE:
                raise InvalidInputError(f"host {name} is retired and not under management any more")
            if host.role != DOCKER:
                raise InvalidInputError(f"host {name} is of the role {host.role}: only Docker hosts run apps")
