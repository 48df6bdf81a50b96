"""``drcloud doctor``: is everything there, and does it answer; what to do where it does not."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from drcloud.doctor import visit
from drcloud.doctor.context import Context, Site, Watch, site
from drcloud.doctor.finding import Finding, Level, counted
from drcloud.exitcodes import ExitCode, most_serious
from drcloud.runs import inventory as inventories

STYLES = {Level.OK: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.PROBLEM: "red"}
REQUIREMENTS = Path("requirements.yml")


def doctor(
    inventory: Annotated[
        list[str] | None,
        typer.Option(
            "--inventory",
            "-i",
            help="The *.cmdb.yml source whose CMDB and hosts to look at. Default: $DRCLOUD_INVENTORY, "
            "$ANSIBLE_INVENTORY, the CMDB.",
        ),
    ] = None,
    limit: Annotated[
        str | None, typer.Option("--limit", "-l", help="Only hosts with these names: `dk-*,lb-01`.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="Seconds that one thing may take to answer.")
    ] = 10.0,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Hosts at a time.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Look whether everything is there and answers; nothing is changed. Says what to do where it does not."""
    requirements = REQUIREMENTS if REQUIREMENTS.exists() else None
    screen = Console()
    found: list[Finding] = []
    with _watch(Console(stderr=True)) as watch:
        for place in _sites(inventory or []):
            context = Context(place, requirements, limit, timeout, parallel, watch)
            for finding in visit.visit(context):
                found.append(finding)
                if not as_json:
                    _show(screen, finding)
    code = most_serious(finding.exit_code for finding in found)
    if as_json:
        document = {"exit_code": int(code), "findings": [finding.document() for finding in found]}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    else:
        screen.print(Text(_summary(found, code)), soft_wrap=True)
    return code


def _sites(given: list[str]) -> Iterator[Site]:
    """Yield the CMDB sources among the inventories; the CMDB alone where there is none."""
    with tempfile.TemporaryDirectory(prefix="drcloud-doctor-") as directory:
        sources = inventories.resolve(given, os.environ, Path(directory))
        known = [place for source in sources if (place := site(source)) is not None]
    for place in known:
        yield replace(place, name="the CMDB") if place.name.startswith(directory) else place
    if not known:
        yield Site("the CMDB")


@contextmanager
def _watch(console: Console) -> Iterator[Watch]:
    """Tell on a terminal what is being looked at; a log gets the findings only."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text))


def _show(screen: Console, finding: Finding) -> None:
    head = Text(f"{finding.level.upper():8}", style=STYLES[finding.level])
    screen.print(head, Text(f"{finding.check}: {finding.subject}: {finding.message}"), soft_wrap=True)
    if finding.advice and finding.level in (Level.WARNING, Level.PROBLEM):
        screen.print(Text(f"         → {finding.advice}"), soft_wrap=True)


def _summary(found: Iterable[Finding], code: ExitCode) -> str:
    levels = [finding.level for finding in found]
    words = {level: counted(levels.count(level), level) for level in (Level.PROBLEM, Level.WARNING)}
    words[Level.SKIPPED] = f"{levels.count(Level.SKIPPED)} not looked at"
    counts = [word for level, word in words.items() if level in levels]
    return f"{levels.count(Level.OK)} well{''.join(f', {count}' for count in counts)} (exit code {int(code)})"
