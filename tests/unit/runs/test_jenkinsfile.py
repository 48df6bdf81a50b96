"""The Jenkinsfile calls only `drcloud`, and only in ways that the command understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from drcloud.cli.main import app

TEXT = (Path(__file__).parents[3] / "jenkins/Jenkinsfile").read_text("utf-8")
CODE = re.sub(r"^\s*//.*$", "", TEXT, flags=re.MULTILINE)
STEPS = re.findall(r"^\s*drcloud '(.+)'$", CODE, flags=re.MULTILINE)


def parse(words: list[str]) -> Any:
    """Let the command tree parse words as a shell would hand them over; nothing is executed."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("drcloud", [], resilient_parsing=True)
    while hasattr(command, "get_command"):
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"no command {name}"
    return command.make_context(name, words, parent=context)


def test_all_work_is_done_by_drcloud() -> None:
    assert len(STEPS) >= 4
    assert all(step.startswith("drcloud ") for step in STEPS)
    # The one `sh` is in the helper that adds credentials.
    assert re.findall(r"\bsh\b.*", CODE) == ["sh script"]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_parses(step: str) -> None:
    words = shlex.split(step.split(" > ", maxsplit=1)[0])

    parse(words[1:])


def test_a_step_that_does_not_exist_would_be_noticed() -> None:
    with pytest.raises(Exception, match="no-such-option"):
        parse(["compliance", "run", "--no-such-option"])


def test_secrets_are_not_put_into_the_script_by_groovy() -> None:
    assert not [step for step in STEPS if "${" in step]
    assert "withCredentials" in CODE


def test_branches_become_tags() -> None:
    for branch, tag in (("develop", "latest"), ("master", "prod")):
        assert re.search(rf"branch == '{branch}'\) {{ return '{tag}' }}", CODE)
    assert "'rt' + branch.tokenize('/')[1]" in CODE
