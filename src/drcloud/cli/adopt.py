"""``drcloud host adopt``: read a host that ran before it was declared, and declare what it has."""

from __future__ import annotations

from typing import Annotated

import typer

from drcloud.cli import names as complete
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cmdb import adoption, hostcard
from drcloud.cmdb.observations import SURVEY
from drcloud.cmdb.store import Store


def adopt(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="HOST…",
            help="The hosts, by their names in the CMDB.",
            autocompletion=complete.of("host"),
        ),
    ],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; kept in the log of changes.", show_default=False)
    ] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket.", show_default=False)
    ] = None,
    preview: Annotated[
        bool, typer.Option(help="Afterwards tell what provisioning would change, with a check of it.")
    ] = True,
    inventory: Annotated[
        list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", "-C", help="Write nothing, tell what would be.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Read Docker hosts that ran before they were declared, and declare what they have.

    Nothing is done on them: bridges and disks are declared as they are, containers go on. Declare the host
    first, with its role, address and SSH; then see what is told here, provision it, and have the containers'
    apps take them over, with `drcloud app takeover` and a deploy.
    """
    store = Store.open()
    for name in names:
        adoption.require_known(store, name)
    given = {
        **({"reason": reason} if reason else {}),
        **({"ticket": ticket} if ticket else {}),
    }
    limit = ",".join(dict.fromkeys(names))
    sources = tuple(inventory or ())
    outcome = run_playbook(
        "dianrong.cloud.adopt",
        inventory=sources,
        extra_vars=given,
        recorded=tuple(given),
        limit=limit,
        check=check,
        diff=True,
        json=as_json,
        store=store,
    )
    notes = _notes(store, names) if outcome.ok and not check else {}
    document = {**outcome.document(), "notes": notes}
    for name, lines in () if as_json else notes.items():
        for line in lines:
            typer.echo(f"{name}: {line}")
    if outcome.ok and preview and not check:
        if not as_json:
            typer.echo(f"\nWhat `drcloud host provision {' '.join(names)}` would change:")
        foretold = run_playbook(
            "dianrong.cloud.provision",
            inventory=sources,
            limit=limit,
            check=True,
            json=as_json,
            store=store,
        )
        document["provision"] = foretold.document()
    if as_json:
        print_document(document)
    return outcome.exit_code


def _notes(store: Store, names: list[str]) -> dict[str, list[str]]:
    """Return what was noted of each host when it was adopted."""
    cards = {name: hostcard.read(store, name) for name in names}
    return {name: list((card.facts or {}).get(SURVEY, {}).get("notes", ())) for name, card in cards.items()}
