"""What a field of a declared row may hold: by the import file's own types, else by its column."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy import JSON, CheckConstraint, Column, String, Table, inspect
from sqlalchemy.orm import Mapper

from drcloud.cmdb import document as documents
from drcloud.cmdb.declared import moment, moment_text
from drcloud.cmdb.natural import Field, Kind

# The form that `one_of` gives to a check of a column.
CHOICES = re.compile(r"^(\w+) IN \((.*)\)$")
# Fields whose entry in the file has another name or stands in another entry.
ELSEWHERE: dict[tuple[str, str], tuple[type[documents.Entry], str]] = {
    ("host", "ssh_user"): (documents.SshEntry, "user"),
    ("host", "ssh_port"): (documents.SshEntry, "port"),
}


def column(kind: Kind, field: Field) -> Column[Any]:
    """Return the column behind a field."""
    mapper: Mapper[Any] = inspect(kind.model)
    found: Column[Any] = mapper.columns[field.column]
    return found


def checked(kind: Kind, name: str, value: Any) -> Any:
    """Return a value in the form that the CMDB stores; ``ValueError`` says what is wrong with it."""
    field = kind.fields[name]
    behind = column(kind, field)
    if value is None:
        if not behind.nullable:
            raise ValueError("must not be empty")
        return None
    if field.target is not None:
        return _referred(value, field.target)
    return _canonical(kind, field, _by_type(kind, field, value))


def _by_type(kind: Kind, field: Field, value: Any) -> Any:
    adapter = _adapter(kind.name, field.name)
    if adapter is None:
        return _typed(column(kind, field), value)
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError as error:
        raise ValueError("; ".join(_within(details) for details in error.errors())) from None


def _within(details: ErrorDetails) -> str:
    """Return what is wrong and, inside of a document, with which part of it."""
    path = ".".join(str(step) for step in details["loc"] if step != "[key]")
    return f"{path}: {documents.sentence(details)}" if path else documents.sentence(details)


def _canonical(kind: Kind, field: Field, value: Any) -> Any:
    """Return the notation in which the table keeps a value: its own validators know."""
    row = kind.model()
    setattr(row, field.column, value)
    kept = getattr(row, field.column)
    return moment_text(kept) if isinstance(kept, datetime) else kept


def from_text(kind: Kind, name: str, text: str) -> Any:
    """Return the value that a word of a command line means; an empty one empties the field."""
    base, _, part = name.partition(".")
    field = kind.fields.get(base)
    if field is None or part:
        return json_or_text(text)
    if field.target is not None or column(kind, field).type.python_type is str:
        return text or None
    return json_or_text(text)


def json_or_text(text: str) -> Any:
    """Return the JSON value that a text holds, else the text; an empty one is None."""
    try:
        return json.loads(text)
    except ValueError:
        return text or None


def defaults(kind: Kind) -> dict[str, Any]:
    """Return what a new row holds in the fields that nobody gives."""
    return {name: default(kind, name) for name in kind.fields}


def default(kind: Kind, name: str) -> Any:
    """Return what a new row holds in a field that nobody gives."""
    behind = column(kind, kind.fields[name])
    if behind.default is None:
        return None
    if behind.default.is_scalar:
        return behind.default.arg  # type: ignore[attr-defined]
    return behind.default.arg(None) if isinstance(behind.type, JSON) else None  # type: ignore[attr-defined]


def required(kind: Kind) -> list[str]:
    """Return the fields that a new row cannot do without."""
    empty = {name for name, value in defaults(kind).items() if value is None}
    return [name for name, field in kind.fields.items() if name in empty and not column(kind, field).nullable]


def is_mapping(kind: Kind, name: str) -> bool:
    """Tell whether a field holds a free document, whose parts can be named as ``field.part``."""
    return is_json(kind, name) and not isinstance(default(kind, name), list)


def is_json(kind: Kind, name: str) -> bool:
    """Tell whether a field holds a document or a list, which databases do not compare alike."""
    return kind.fields[name].target is None and isinstance(column(kind, kind.fields[name]).type, JSON)


def _referred(value: Any, target: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must name a {target.replace('_', ' ')}, not be {json.dumps(value, default=str)}")
    return value


@cache
def _adapter(kind: str, name: str) -> TypeAdapter[Any] | None:
    entry, field = ELSEWHERE.get((kind, name), (_entry(kind), name))
    if entry is None or field not in entry.model_fields:
        return None
    info = entry.model_fields[field]
    annotation: Any = info.annotation
    for part in info.metadata:
        annotation = Annotated[annotation, part]
    return TypeAdapter(annotation)


def _entry(kind: str) -> type[documents.Entry] | None:
    words = "".join(word.capitalize() for word in kind.split("_"))
    return getattr(documents, f"{words}Entry", None)


def _typed(behind: Column[Any], value: Any) -> Any:
    wanted = dict if isinstance(behind.type, JSON) else behind.type.python_type
    if wanted is datetime:
        return moment(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"must be {_WORDS.get(wanted, wanted.__name__)}, not {_shown(value)}")
    if isinstance(behind.type, String) and behind.type.length and len(value) > behind.type.length:
        raise ValueError(f"must have at most {behind.type.length} characters")
    choices = _choices(behind)
    if choices and value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(value)}")
    return value


@cache
def _choices(behind: Column[Any]) -> tuple[str, ...]:
    table = behind.table
    checks = table.constraints if isinstance(table, Table) else ()
    for check in checks:
        found = CHOICES.match(str(check.sqltext)) if isinstance(check, CheckConstraint) else None
        if found and found[1] == behind.name:
            return tuple(word.strip().strip("'") for word in found[2].split(","))
    return ()


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    return repr(value)


_WORDS: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false", dict: "a mapping"}
