"""``drcloud run``: any playbook, with recorded outcome and an exit code that means something."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from drcloud.cli.playbook import print_document, run_request
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode
from drcloud.runs import RunRequest, junit


def run(  # noqa: PLR0913, PLR0917 - an argument is an option of the command
    playbook: Annotated[
        str, typer.Argument(help="A file, or a collection playbook (dianrong.cloud.provision).")
    ],
    inventory: Annotated[
        list[str] | None,
        typer.Option(
            "--inventory",
            "-i",
            help="A *.cmdb.yml source, an inventory, or hosts as in 'a,b,'. Default: $DRCLOUD_INVENTORY, "
            "$ANSIBLE_INVENTORY, the CMDB.",
        ),
    ] = None,
    extra_vars: Annotated[
        list[str] | None,
        typer.Option("--extra-vars", "-e", help="k=v, JSON, or @FILE. k=v and JSON win over files."),
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", "-l", help="Only these hosts or groups.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tags", "-t", help="Only tasks with a tag.")] = None,
    skip_tags: Annotated[list[str] | None, typer.Option("--skip-tags", help="No tasks with a tag.")] = None,
    check: Annotated[bool, typer.Option("--check", "-C", help="Change nothing, tell what would be.")] = False,
    diff: Annotated[bool, typer.Option("--diff", "-D", help="Show differences.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="With --check: exit 12 when changes are pending.")
    ] = False,
    forks: Annotated[int | None, typer.Option("--forks", "-f", help="Hosts at a time.")] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=1, help="Seconds until it is stopped.")
    ] = None,
    pass_env: Annotated[
        list[str] | None, typer.Option("--pass-env", help="A variable that the playbook may read.")
    ] = None,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Also show results.")] = 0,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", help="Write a JUnit report, a case per host.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    record: Annotated[bool, typer.Option(help="Record the run in the CMDB.")] = True,
) -> int:
    """Run any playbook on the hosts of an inventory."""
    variables = read_variables(extra_vars or ())
    request = RunRequest(
        playbook=playbook,
        inventory=tuple(inventory or ()),
        extra_vars=variables.values,
        vars_files=variables.files,
        limit=limit,
        tags=tuple(tags or ()),
        skip_tags=tuple(skip_tags or ()),
        check=check,
        diff=diff,
        verbosity=verbose,
        forks=forks,
        pass_env=tuple(pass_env or ()),
    )
    outcome = run_request(request, store=Store.open() if record else None, timeout=timeout, json=as_json)
    if junit_file:
        junit.write(junit_file, playbook, outcome)
    if as_json:
        print_document(outcome.document())
    pending = detailed_exitcode and check and outcome.ok and outcome.changed
    return ExitCode.DRIFT if pending else outcome.exit_code


@dataclass(slots=True)
class Variables:
    """What ``-e`` gave: values, and files that ansible-core reads itself (they may be vaulted)."""

    values: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def read_variables(options: Sequence[str]) -> Variables:
    """Return the variables of ``-e`` options: ``k=v`` (also several), a JSON or YAML mapping, ``@FILE``."""
    found = Variables()
    for option in options:
        if option.startswith("@"):
            found.files.append(option[1:])
        elif option.lstrip().startswith("{"):
            found.values |= _mapping(option)
        else:
            found.values |= _pairs(option)
    return found


def _mapping(option: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(option)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, dict):
        raise InvalidInputError("an -e option that begins with { is not a JSON or YAML mapping")
    return {str(name): content for name, content in value.items()}


def _pairs(option: str) -> dict[str, str]:
    try:
        words = shlex.split(option)
    except ValueError:
        raise InvalidInputError("an -e option has an open quote") from None
    pairs = [word.partition("=") for word in words]
    if not pairs or not all(name and equals for name, equals, _ in pairs):
        # The option is not repeated in the message: it may hold a secret.
        raise InvalidInputError("an -e option is neither k=v, nor a mapping, nor @FILE")
    return {name: value for name, _, value in pairs}
