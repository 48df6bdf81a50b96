"""``drcloud build`` and ``drcloud release``: from a source tree to an image that has a digest."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from drcloud.cli import names
from drcloud.cli.playbook import print_document
from drcloud.cli.table import screen
from drcloud.cmdb import actor
from drcloud.cmdb.store import Store
from drcloud.delivery import branches, releases
from drcloud.delivery.releases import ReleaseRow
from drcloud.errors import InvalidInputError

if TYPE_CHECKING:
    from drcloud.delivery.builder import Built

app = typer.Typer(no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def build(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    app_name: Annotated[
        str,
        typer.Argument(metavar="APP", help="The app, as the CMDB names it.", autocompletion=names.of("app")),
    ],
    tag: Annotated[
        str | None, typer.Option("--tag", help="The tag, as in rt67. Default: that of --branch.")
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option("--branch", help="Take the branch's tag: develop latest, rel/67 rt67, master prod."),
    ] = None,
    source: Annotated[
        Path, typer.Option("--source", help="The tree that the app's build section is relative to.")
    ] = Path(),
    from_git: Annotated[
        str | None,
        typer.Option(
            "--from-git", help="Build this commit, branch or tag of the clone in --source, and nothing else."
        ),
    ] = None,
    git_ref: Annotated[
        str | None, typer.Option("--git-ref", help="What is built. Default: the commit of the tree.")
    ] = None,
    build_id: Annotated[
        str | None, typer.Option("--build-id", help="The build's own name.", envvar="BUILD_TAG")
    ] = None,
    build_arg: Annotated[
        list[str] | None, typer.Option("--build-arg", help="NAME=VALUE for the Dockerfile.")
    ] = None,
    ticket: Annotated[
        str | None, typer.Option("--ticket", help="The change ticket, for labels and the change log.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Build an app's image, push it to its registry and record the release with its digest."""
    from drcloud.delivery.builder import BuildRequest  # late, for it brings the Docker SDK
    from drcloud.delivery.builder import build as build_image

    console = Console(stderr=json, highlight=False)
    request = BuildRequest(
        app=app_name,
        tag=_tag(tag, branch),
        source=source,
        git_ref=git_ref,
        build_id=build_id,
        args=_arguments(build_arg or []),
        from_git=from_git,
        ticket=ticket or actor.ticket(),
    )
    console.print(f"building {escape(app_name)}:{escape(request.tag)}", soft_wrap=True)
    with console.status("building …"):
        built = build_image(
            Store.open(),
            request,
            lambda line: console.print(f"  {escape(line)}", style="dim", soft_wrap=True),
        )
    if json:
        print_document(asdict(built))
    else:
        _tell(console, built)


def _tag(tag: str | None, branch: str | None) -> str:
    if tag is not None:
        return tag
    if branch is None:
        raise InvalidInputError("say under which tag with --tag, or from which branch with --branch")
    return branches.tag_of_branch(branch)


def _arguments(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidInputError(f"--build-arg {pair!r} is not NAME=VALUE")
        found[name] = value
    return found


def _tell(console: Console, built: Built) -> None:
    words = "pushed and recorded" if built.news else "pushed; this release was known already"
    console.print(f"[green]{escape(built.app)}:{escape(built.tag)}[/] {words}", soft_wrap=True)
    console.print(f"  {built.image}", soft_wrap=True)
    if built.git_ref:
        console.print(f"  built from {escape(built.git_ref)}", soft_wrap=True)


@app.command("list")
def list_command(
    app_name: Annotated[
        str | None,
        typer.Argument(metavar="[APP]", help="Only this app.", autocompletion=names.of("app")),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List releases, newest first; a star marks the one that its tag means now."""
    rows = releases.listed(Store.open(), app_name)
    if json:
        print_document({"releases": [_document(row) for row in rows]})
        return
    table = Table()
    for name in ("App", "Tag", "Digest", "Built from", "Build", "Recorded"):
        table.add_column(name, overflow="fold")
    for row in rows:
        star = "*" if row.current else ""
        table.add_row(
            escape(row.app),
            escape(row.tag + star),
            row.digest[:19],
            escape((row.git_ref or "")[:19]),
            escape(row.build or ""),
            f"{row.created_at:%Y-%m-%d %H:%M}",
        )
    screen().print(table)


@app.command()
def show(
    app_name: Annotated[str, typer.Argument(metavar="APP", help="The app.", autocompletion=names.of("app"))],
    tag: Annotated[str, typer.Argument(help="The tag.", autocompletion=names.tags)],
    json: JsonOption = False,
) -> None:
    """Show the newest release of a tag."""
    row = releases.shown(Store.open(), app_name, tag)
    if json:
        print_document(_document(row))
        return
    for name, value in _document(row).items():
        typer.echo(f"{name + ':':15} {value if value is not None else '-'}")


def _document(row: ReleaseRow) -> dict[str, object]:
    return {**asdict(row), "created_at": row.created_at.isoformat()}
