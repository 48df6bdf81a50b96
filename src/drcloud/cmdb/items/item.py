"""A row that a file wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.importfile import Position


@dataclass(frozen=True, slots=True)
class Item:
    """A wanted row: the fields the file sets, and where in the file it stands.

    ``at`` says for fields whose name in the file is another where they stand below ``position``.
    """

    kind: str
    key: str
    fields: Fields
    position: Position
    at: Mapping[str, Position] = field(default_factory=dict)

    def where(self, name: str) -> Position:
        """Return the position of a field."""
        return self.position + self.at.get(name, (name,))


def here(fields: Iterable[str]) -> Mapping[str, Position]:
    """Say that all fields stand where the item itself stands; the answer is the same for all alike."""
    return _here(tuple(fields))


@cache
def _here(names: tuple[str, ...]) -> Mapping[str, Position]:
    return dict.fromkeys(names, ())
