"""A function is one thought: its body, without signature and docstring, fits on a screen."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREEN = 40
LISTED = subprocess.run(
    ["git", "ls-files", "src/*.py", "collections/dianrong/*.py", "plugins/*.py"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
)
FILES = [name for name in LISTED.stdout.splitlines() if (ROOT / name).is_file()]


def bodies(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False) is not None and len(node.body) > 1
            first = node.body[1 if documented else 0]
            yield node.name, (node.end_lineno or 0) - first.lineno + 1


@pytest.mark.parametrize("name", FILES)
def test_functions_fit_on_a_screen(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    assert {function: lines for function, lines in bodies(tree) if lines > SCREEN} == {}
