"""``drcloud app maintenance``: the load balancers answer for an app with a page, or let it answer again."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from drcloud.cli import names
from drcloud.cli.playbook import print_document, run_playbook
from drcloud.cmdb import lookup
from drcloud.cmdb.store import Store

PLAYBOOK = "dianrong.cloud.maintenance"


class Switch(StrEnum):
    """Whether the page is served."""

    ON = "on"
    OFF = "off"


def maintenance(
    switch: Annotated[Switch, typer.Argument(help="Whether users get the page.", show_default=False)],
    app: Annotated[
        str, typer.Argument(help="The app, as the CMDB names it.", autocompletion=names.of("app"))
    ],
    env: Annotated[
        str,
        typer.Option(
            "--env",
            help="The environment, as in prod.",
            show_default=False,
            autocompletion=names.of("environment"),
        ),
    ],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; kept in the log of changes.", show_default=False)
    ] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket.", show_default=False)
    ] = None,
    inventory: Annotated[
        list[str] | None, typer.Option("--inventory", "-i", help="An inventory source; default: the CMDB.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", "-C", help="Touch nothing, tell what would be.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Have the load balancers answer for an app with status 503 and a page, or let the app answer again.

    Declared in the CMDB, so a load balancer that is provisioned does the same. No other app notices.
    """
    store = Store.open()
    with store.read() as session:
        lookup.placement(session, app, env)
    enabled = switch is Switch.ON
    variables = {
        "app": app,
        "env": env,
        "enabled": enabled,
        "reason": reason or f"maintenance of {app} in {env} {switch.value}",
        **({"ticket": ticket} if ticket else {}),
    }
    outcome = run_playbook(
        PLAYBOOK,
        inventory=tuple(inventory or ()),
        extra_vars=variables,
        recorded=tuple(variables),
        check=check,
        diff=check,
        json=json,
        store=store,
    )
    if json:
        print_document(outcome.document())
    return outcome.exit_code
