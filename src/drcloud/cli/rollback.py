"""``drcloud rollback`` goes back to a revision that was stable."""

from __future__ import annotations

from typing import Annotated

import typer

from drcloud.cli import names, roll
from drcloud.delivery.wish import Wish


def rollback(  # noqa: PLR0913 - the options of the command
    app: Annotated[
        str, typer.Argument(help="The app, as the CMDB names it.", autocompletion=names.of("app"))
    ],
    *,
    env: roll.EnvOption,
    to: Annotated[
        str | None,
        typer.Option("--to", help="A tag that ran to the end before.", autocompletion=names.tags),
    ] = None,
    limit: roll.LimitOption = None,
    failure_budget: roll.BudgetOption = 0,
    canary_watch: roll.WatchOption = None,
    drain_timeout: roll.DrainOption = None,
    inventory: roll.InventoryOption = None,
    check: roll.CheckOption = False,
    timeout: roll.TimeoutOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Go back to the stable revision before the present one, host by host, like any roll.

    Stable is what was healthy on all its hosts to the end of its deployment. Nothing is built, and no tag
    is asked: the revision comes back with the digest and the settings that it had.
    """
    wish = Wish(app, env, to or "", roll.hosts(limit), "rollback", failure_budget, canary_watch)
    options = roll.Options(tuple(inventory or ()), check, timeout, json, drain=drain_timeout)
    return roll.run(wish, "dianrong.cloud.rollback", options)
