"""Every `drcloud …` that the documentation shows is a command that exists, with options that it has."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from drcloud.cli.main import app

ROOT = Path(__file__).parents[3]
TREE = typer.main.get_command(app)
SHOWN = re.compile(r"(?:^(?:\$ )?|`)(drcloud [^`\n]*)", re.MULTILINE)


def pages() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def commands(text: str) -> list[str]:
    """Return the command lines, without comments, alternatives and what a reader fills in."""
    return [line.split("#")[0].strip() for line in SHOWN.findall(text) if not re.search(r"[|…<\[]", line)]


def unknown(line: str) -> str | None:
    """Return what of a command line does not exist."""
    here: Any = TREE
    options = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
    for word in shlex.split(line)[1:]:
        if hasattr(here, "commands"):
            if word in options:
                continue
            if word not in here.commands:
                return word
            here = here.commands[word]
        elif word.startswith("-") and not _has(here, word.split("=", 1)[0]):
            return word
    return None


def _has(command: Any, option: str) -> bool:
    return any(option in (*parameter.opts, *parameter.secondary_opts) for parameter in command.params)


@pytest.mark.parametrize("page", pages())
def test_documented_commands_exist(page: str) -> None:
    shown = commands((ROOT / page).read_text("utf-8"))
    assert {line: wrong for line in shown if (wrong := unknown(line))} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("drcloud lab up", None),
        ("drcloud deploy demo rt68 --env prod", None),
        ("drcloud fly", "fly"),
        ("drcloud lab sideways", "sideways"),
        ("drcloud deploy demo rt68 --nowhere", "--nowhere"),
    ],
)
def test_what_does_not_exist_is_found(line: str, wrong: str | None) -> None:
    assert unknown(line) == wrong
