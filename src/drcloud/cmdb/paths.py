"""A dotted path into the variables of a host: ``dr_attrs.team``, ``dr_block_devices.purpose``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from drcloud.cmdb.lookup import meant
from drcloud.errors import InvalidInputError

Path = tuple[str, ...]
PREFIX = "dr_"
# The groups that are there without being asked for, and the path that means the same.
OURS: dict[str, Path] = {
    "app": ("dr_placements", "app"),
    "drift": (),
    "env": ("dr_placements", "env"),
    "idc": ("dr_idc",),
    "rack": ("dr_rack",),
    "role": ("dr_role",),
    "state": ("dr_state",),
    "tag": ("dr_tags",),
}


def parse(text: str, option: str, known: Collection[str]) -> Path:
    """Return the path of a text; ``idc`` is short for ``dr_idc``. Unknown variables are refused.

    ``option`` is where the text stands, for the message.
    """
    head, *rest = text.strip().split(".")
    name = head if head in known else PREFIX + head
    if name not in known or not all(rest):
        hint = meant(head, sorted(known)) or f"known are {', '.join(sorted(known))}"
        raise InvalidInputError(f"option {option}: {text!r} is no path into the variables of a host: {hint}")
    return (name, *rest)


def read(variables: Mapping[str, Any], path: Path) -> list[Any]:
    """Return the values at the end of a path, through lists on the way; none where it ends early."""
    values: list[Any] = [variables]
    for part in path:
        values = [value[part] for value in values if isinstance(value, Mapping) and part in value]
        values = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [value for value in values if value is not None and value != ""]


def label(path: Path) -> str:
    """Return what a group by this path is called: its last part, or all where groups of ours have that."""
    last = path[-1].removeprefix(PREFIX)
    if OURS.get(last, path) == path:
        return last
    return "_".join(path).removeprefix(PREFIX)
