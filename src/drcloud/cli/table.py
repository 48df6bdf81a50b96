"""Tables and JSON of the CMDB's commands; what stands in the CMDB is text, never markup."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Characters; more than any row has.
WIDE = 4096


def screen(*, highlight: bool = False) -> Console:
    """Return the console that tables are printed on; in a pipe, which has no width, a row is one line."""
    return Console(highlight=highlight, width=None if sys.stdout.isatty() else WIDE)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as columns."""
    table = Table(box=None, header_style="bold", pad_edge=False, expand=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))
    screen(highlight=True).print(table)


def plain(value: Any) -> str:
    """Return a value as the text of a cell."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=2 if value else None)
    return "" if value is None else str(value)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
