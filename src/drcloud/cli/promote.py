"""``drcloud promote``: a channel moves to an image that is in the registry already, by digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from drcloud.cli import names
from drcloud.cli.playbook import print_document
from drcloud.cmdb.store import Store

if TYPE_CHECKING:
    from drcloud.delivery.promotion import Promotion


def promote(
    app: Annotated[
        str, typer.Argument(help="The app, as the CMDB names it.", autocompletion=names.of("app"))
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM", help="What to promote: a tag, or a digest.", autocompletion=names.tags
        ),
    ],
    to: Annotated[
        str, typer.Argument(metavar="TO", help="The channel to move, as prod.", autocompletion=names.tags)
    ],
    check: Annotated[bool, typer.Option("--check", "-C", help="Move nothing, tell what would be.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the change log.")] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket, for the change log and for policy.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move a channel of an app to exactly the image that another tag names.

    FROM is resolved to its digest once, and TO is put on that digest in the registry: no rebuild, no pull,
    and an index of several platforms stays the index that it is. A second time there is nothing to do.
    """
    from drcloud.delivery import promotion  # late, for it brings the HTTP client

    done = promotion.promote(Store.open(), promotion.Request(app, source, to, reason, ticket), check=check)
    if json:
        print_document({**done.as_document(), "check": check})
        return
    console = Console(highlight=False)
    for line in lines(done, check):
        console.print(line, soft_wrap=True)


def lines(done: Promotion, check: bool) -> Iterator[str]:
    """Yield what a person is told, with the digests before and after."""
    app, source, channel = (escape(name) for name in (done.app, done.source, done.channel))
    if not done.changed:
        yield f"[green]{app} {channel}[/] is already what {source} is: nothing to do"
        yield f"  {done.digest}"
        return
    yield f"[green]{app} {channel}[/] {'would be' if check else 'is now'} what {source} is"
    if done.moves:
        yield from _difference(f"registry {escape(done.registry)}", done.before, done.digest)
    if done.recorded != done.digest:
        yield from _difference("CMDB", done.recorded, done.digest)
    elif done.records:
        yield "  CMDB: the release is recorded"
    if done.git_ref or done.build:
        built = ", ".join(word for word in (done.git_ref, done.build) if word)
        yield f"  built from {escape(built)}"
    if check:
        yield "nothing was changed"


def _difference(where: str, before: str | None, after: str) -> Iterator[str]:
    yield f"  {where}"
    yield f"    [red]- {before or 'nothing'}[/]"
    yield f"    [green]+ {after}[/]"
