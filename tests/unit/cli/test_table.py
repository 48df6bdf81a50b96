"""Tables in a pipe: one row, one line, whichever command prints it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import drcloud.cli
from drcloud.cli.table import print_table

SOURCES = sorted(Path(drcloud.cli.__file__).parent.glob("*.py"))


def test_a_row_in_a_pipe_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("name", "playbook"), [("nightly", "x" * 300), ("weekly", "y" * 300)])
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_tables_are_printed_by_the_one_that_knows_of_pipes(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    assert not re.search(r"Console\([^)]*\)\.print\(\w*table", text)
