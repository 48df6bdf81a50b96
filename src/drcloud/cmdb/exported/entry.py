"""A row as an entry: the fields of its section that are not empty, in the order of the section."""

from __future__ import annotations

import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import Document, Entry

# Fields whose name in the file is another than the column's.
NAMES = {"env": "environment"}


@cache
def entry_of(section: str) -> type[Entry]:
    """Return the class of a section's entries."""
    annotation = Document.model_fields[section].annotation
    found: type[Entry] = typing.get_args(annotation)[0]
    return found


def entry(model: type[Entry], fields: Mapping[str, Any]) -> Fields:
    """Return a row as an entry of a class; what an entry must say is said, also where it is empty."""
    found = {name: fields[NAMES.get(name, name)] for name in model.model_fields}
    return {
        name: value
        for name, value in found.items()
        if model.model_fields[name].is_required() or not is_empty(value)
    }


def some(fields: Mapping[str, Any], *names: str) -> Fields:
    """Return the named fields that are not empty; zero is a number like others."""
    return {name: fields[name] for name in names if not is_empty(fields[name])}


def is_empty(value: Any) -> bool:
    """Tell whether a value is what a field holds of which a file says nothing."""
    return value is None or value is False or (not value and isinstance(value, (str, dict, list)))


def by(rows: Iterable[Fields], owner: str) -> dict[str, list[Fields]]:
    """Return rows by the value of a field."""
    grouped: dict[str, list[Fields]] = defaultdict(list)
    for fields in rows:
        grouped[fields[owner]].append(fields)
    return grouped
