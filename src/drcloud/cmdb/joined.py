"""Several import documents as one, and which entry came from which file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from drcloud.cmdb import document as documents
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Position, Problem, Source
from drcloud.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Joined:
    """A document put together from files."""

    document: Document
    _sources: tuple[Source, ...]
    _starts: dict[str, tuple[int, ...]]

    def fail(self, problems: Iterable[Problem]) -> None:
        """Raise one error that lists all problems, file by file; return if there are none."""
        mine: dict[int, list[Problem]] = {}
        for problem in problems:
            number, position = self._locate(problem.position)
            mine.setdefault(number, []).append(Problem(position, problem.message))
        lines = [line for number in sorted(mine) for line in self._sources[number].complaints(mine[number])]
        if lines:
            raise InvalidInputError("\n".join(lines))

    def _locate(self, position: Position) -> tuple[int, Position]:
        """Return the number of the file that a position lies in, and its position there."""
        section = str(position[0]) if position else ""
        entry = position[1] if len(position) > 1 else None
        if not isinstance(entry, int):
            named = (number for number, source in enumerate(self._sources) if section in source.value)
            return next(named, 0), position
        starts = self._starts[section]
        number = bisect_right(starts, entry) - 1
        return number, (section, entry - starts[number], *position[2:])


def join(sources: Sequence[Source]) -> Joined:
    """Put files together, section by section, in their order; the error lists what is wrong in all."""
    parts = _parsed(sources)
    if len(parts) == 1:
        return Joined(parts[0], tuple(sources), dict.fromkeys(Document.model_fields, (0,)))
    sections: dict[str, Any] = {}
    starts: dict[str, tuple[int, ...]] = {}
    for name in Document.model_fields.keys() - {"drcloud"}:
        lists = [getattr(part, name) for part in parts]
        starts[name] = tuple(sum(len(one) for one in lists[:number]) for number in range(len(lists)))
        if any(name in part.model_fields_set for part in parts):
            sections[name] = tuple(entry for entries in lists for entry in entries)
    return Joined(Document.model_construct(drcloud=1, **sections), tuple(sources), starts)


def _parsed(sources: Iterable[Source]) -> list[Document]:
    parts, wrong = [], []
    for source in sources:
        try:
            parts.append(documents.parse(source))
        except InvalidInputError as error:
            wrong.append(str(error))
    if wrong:
        raise InvalidInputError("\n".join(wrong))
    return parts
