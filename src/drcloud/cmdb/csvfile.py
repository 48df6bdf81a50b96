"""A CSV file as a section of an import document: one row an object, one column a field.

Nested fields have dotted columns (``ssh.user``, ``attrs.team``). An empty cell leaves its field alone.
"""

from __future__ import annotations

import copy
import csv
import difflib
import io
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from drcloud.cmdb import cells, exporter
from drcloud.cmdb import state as states
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.cells import Form
from drcloud.cmdb.document import FORMAT, Document
from drcloud.cmdb.importfile import Position, Problem, Source, spell, text_of
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError, NotFoundError

SUFFIX = ".csv"
DELIMITERS = (",", ";", "\t")
# Where the parts of a natural key have other names in the file.
NAMES = {"environment": "env", "image_registry": "registry"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, the field it is for, and how that is written."""

    header: str
    path: tuple[str, ...]
    form: Form


@dataclass(frozen=True, slots=True)
class CsvFile(Source):
    """A parsed CSV file: ``value`` is a document with one section."""

    name: str
    value: dict[str, Any]
    section: str
    _columns: tuple[Column | None, ...]
    _lines: tuple[int, ...]

    def line(self, position: Position) -> int:
        """Return the line of the row that a position lies in, counted from 1."""
        row = position[1] if len(position) > 1 else None
        return self._lines[row] if isinstance(row, int) and row < len(self._lines) else 1

    def spell(self, position: Position) -> str:
        """Return the column of a position, by its header and as spreadsheets count it."""
        path = position[2:]
        for number, column in _longest_first(self._columns):
            if column.path == path[: len(column.path)]:
                rest = spell(path[len(column.path) :])
                return f"{column.header} (column {letters(number)})" + (f", {rest}" if rest else "")
        return spell(path)

    def completed(self, present: Mapping[str, Sequence[Fields]]) -> CsvFile:
        """Return the file with what it leaves alone: required fields, and the rest of nested ones.

        ``present`` holds the sections of the CMDB as ``exporter.build`` writes them.
        """
        names = _key_fields(self.section)
        known = {tuple(entry.get(name) for name in names): entry for entry in present.get(self.section, ())}
        whole = {column.path[0] for column in self._columns if column and len(column.path) == 1}
        entries = [
            _complete(entry, known.get(tuple(entry.get(name) for name in names), {}), self.section, whole)
            for entry in self.value[self.section]
        ]
        return replace(self, value=_document(self.section, entries))


def read(path: Path | str, kind: str | None = None) -> CsvFile:
    """Read a file of a kind, or of the one that its name begins with (``hosts.csv``)."""
    name = str(path)
    section = section_of(kind) if kind else _named(name)
    text = text_of(name)
    rows = _rows(name, text)
    first = next(rows, None)
    if first is None:
        raise InvalidInputError(f"{name}: the file is empty: the first line names the columns")
    table = CsvFile(name, {}, section, tuple(_columns(name, section, first[1])), ())
    entries: list[Fields] = []
    lines: list[int] = []
    problems: list[Problem] = []
    for line, row in rows:
        entry, wrong = _entry(table, row, len(entries))
        entries.append(entry)
        lines.append(line)
        problems += wrong
    table = replace(table, value=_document(section, entries), _lines=tuple(lines))
    table.fail(problems)
    return table


def export(store: Store, kind: str) -> str:
    """Return the objects of a kind as CSV text."""
    section = section_of(kind)
    with store.read() as session:
        document = exporter.build(states.load(session).documents)
    return write(section, document.get(section, []))


def write(section: str, entries: Sequence[Fields]) -> str:
    """Return entries of a section as a table with a column for every field that one of them has.

    Without entries the table has all columns, for people to fill in.
    """
    columns = _columns_for(section, entries)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.header for column in columns])
    for entry in entries:
        writer.writerow([_cell(entry, column) for column in columns])
    return out.getvalue()


@cache
def sections() -> dict[str, str]:
    """Return the sections that can be tables, and the kinds that their entries are."""
    plural = {_plural(kind): kind for kind in kinds()}
    return {name: plural[name] for name in Document.model_fields if name in plural and _is_table(name)}


def section_of(kind: str) -> str:
    """Return the section of a kind; ``NotFoundError`` lists the kinds there are."""
    for section, known in sections().items():
        if kind in (section, known):
            return section
    near = difflib.get_close_matches(kind, sections().values(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sections().values())}"
    raise NotFoundError(f"no table is made of the kind {kind!r}: {hint}")


def letters(number: int) -> str:
    """Return the name of a column as spreadsheets count it: A for 0, AA for 26."""
    head, last = divmod(number, 26)
    return (letters(head - 1) if head else "") + chr(ord("A") + last)


def _plural(kind: str) -> str:
    if kind.endswith(("s", "x")):
        return f"{kind}es"
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def _named(name: str) -> str:
    stem = Path(name).name.lower()
    for section, kind in sections().items():
        for word in (section, kind):
            if stem.startswith(word) and not stem[len(word)].isalnum() and stem[len(word)] != "_":
                return section
    raise InvalidInputError(
        f"{name}: its name does not tell what it lists: name it after a kind, as hosts.csv, or say --kind"
    )


def _document(section: str, entries: list[Fields]) -> dict[str, Any]:
    return {"drcloud": FORMAT, section: entries}


def _rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with the lines they begin in."""
    header = text.split("\n", 1)[0]
    delimiter = next((mark for mark in DELIMITERS if mark in header), DELIMITERS[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InvalidInputError(f"{name}:{line}: this is not CSV: {error}") from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield line, [cell.strip() for cell in row]


def _columns(name: str, section: str, headers: list[str]) -> Iterator[Column | None]:
    """Yield the columns that a header names; None for one without a name."""
    seen: set[str] = set()
    for number, header in enumerate(headers):
        if header in seen:
            raise InvalidInputError(f"{name}:1: column {letters(number)}: {header!r} stands here twice")
        if header:
            seen.add(header)
        column = _column(section, header)
        if column is None and header:
            known = [".".join(one) for one in _paths(_entry_model(section))]
            near = difflib.get_close_matches(header, known, n=1)
            hint = f": did you mean {near[0]}?" if near else f": {section} have {', '.join(known)}"
            raise InvalidInputError(f"{name}:1: column {letters(number)}: there is no field {header!r}{hint}")
        yield column


def _column(section: str, header: str) -> Column | None:
    """Return the column of a header; what follows the name of a mapping is one key of it."""
    annotation: Any = _entry_model(section)
    path: list[str] = []
    words = header.split(".")
    while words:
        kind = cells.bare(annotation)
        if typing.get_origin(kind) is dict:
            annotation = typing.get_args(kind)[1]
            path.append(".".join(words))
            break
        if not _is_model(kind) or words[0] not in kind.model_fields:
            return None
        annotation = kind.model_fields[words[0]].annotation
        path.append(words.pop(0))
    return Column(header, tuple(path), cells.form_of(annotation))


def _entry_model(section: str) -> Any:
    return cells.bare(typing.get_args(cells.bare(Document.model_fields[section].annotation))[0])


def _is_table(section: str) -> bool:
    return bool(typing.get_args(cells.bare(Document.model_fields[section].annotation)))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _paths(model: Any) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all fields of an entry, nested ones in the place of what contains them."""
    for name, field in model.model_fields.items():
        kind = cells.bare(field.annotation)
        if _is_model(kind):
            yield from ((name, *rest) for rest in _paths(kind))
        else:
            yield (name,)


def _entry(table: CsvFile, row: list[str], number: int) -> tuple[Fields, list[Problem]]:
    """Return what a row says, and what is wrong with its cells."""
    entry: Fields = {}
    problems = []
    for place, cell in enumerate(row):
        column = table._columns[place] if place < len(table._columns) else None
        if not cell:
            continue
        if column is None:
            message = f"{cell!r} stands in column {letters(place)}, which has no name in the first line"
            problems.append(Problem((table.section, number), message))
            continue
        try:
            _put(entry, column.path, cells.parse(column.form, cell))
        except ValueError as error:
            problems.append(Problem((table.section, number, *column.path), str(error)))
    return entry, problems


def _put(entry: Fields, path: tuple[str, ...], value: Any) -> None:
    for step in path[:-1]:
        entry = entry.setdefault(step, {})
        if not isinstance(entry, dict):
            raise ValueError(f"{step} is given as a whole in another column")  # noqa: TRY004  (the user's)
    entry[path[-1]] = value


def _complete(entry: Fields, present: Fields, section: str, whole: set[str]) -> Fields:
    """Add what an object of the CMDB has where the row leaves it alone but the document wants it said."""
    if not present:
        return entry
    done = dict(entry)
    for name, field in _entry_model(section).model_fields.items():
        if name not in done and field.is_required() and name in present:
            done[name] = present[name]
        elif name not in whole and isinstance(done.get(name), dict) and name in present:
            done[name] = _merged(present[name], done[name])
    return done


def _merged(present: Any, said: Any) -> Any:
    if not isinstance(present, dict) or not isinstance(said, dict):
        return said
    return {
        **copy.deepcopy(present),
        **{key: _merged(present.get(key), value) for key, value in said.items()},
    }


def _key_fields(section: str) -> tuple[str, ...]:
    parts = kinds()[sections()[section]].natural.parts
    return tuple(NAMES.get(part, part.rstrip("?")) for part in parts)


def _columns_for(section: str, entries: Sequence[Fields]) -> list[Column]:
    """Return the columns for what entries hold, in the order of the document's fields."""
    model = _entry_model(section)
    headers = (".".join(path) for path in (_filled(model, entries) if entries else _paths(model)))
    return [column for header in headers if (column := _column(section, header)) is not None]


def _filled(model: Any, entries: Iterable[Fields]) -> Iterator[tuple[str, ...]]:
    listed = list(entries)
    for name, field in model.model_fields.items():
        values = [entry[name] for entry in listed if name in entry]
        kind = cells.bare(field.annotation)
        if not values:
            continue
        nested = all(isinstance(value, dict) and value for value in values)
        if nested and _is_model(kind):
            yield from ((name, *rest) for rest in _filled(kind, values))
        elif nested and typing.get_origin(kind) is dict and (keys := _plain_keys(values)):
            yield from ((name, key) for key in keys)
        else:
            yield (name,)


def _plain_keys(values: Iterable[Fields]) -> list[str]:
    """Return the keys of mappings, in the order they appear; none if one of them cannot be a header."""
    keys = list(dict.fromkeys(key for value in values for key in value))
    return keys if all(key and key == key.strip() for key in keys) else []


def _cell(entry: Fields, column: Column) -> str:
    value: Any = entry
    for step in column.path:
        if not isinstance(value, dict) or step not in value:
            return ""
        value = value[step]
    return cells.spell(column.form, value)


def _longest_first(columns: Iterable[Column | None]) -> Iterator[tuple[int, Column]]:
    numbered = [(number, column) for number, column in enumerate(columns) if column]
    yield from sorted(numbered, key=lambda one: -len(one[1].path))
