"""Declared rows as documents: fields by name, other rows by natural key, no surrogate ids, times as text.

The same form serves ``change_log``, the plan of an import, ``show`` and ``export``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Mapper, RelationshipDirection, Session
from sqlalchemy.orm.util import identity_key

from drcloud.cmdb.base import Base, Declared, Document, Natural
from drcloud.cmdb.declared import moment_text

# In a session's ``info``: keys by kind and id of rows that it wrote and let go.
KEYS = "natural_keys"
HIDDEN = frozenset({"id", "uid", "version", "created_at", "updated_at"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document: ``column`` holds it; ``target`` is the kind it refers to."""

    name: str
    column: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A declared table: its name, its class, its fields in order and what names a row."""

    name: str
    model: type[Base]
    natural: Natural
    fields: Mapping[str, Field]


@cache
def kinds() -> dict[str, Kind]:
    """Return all kinds; what is referred to comes before what refers."""
    models = {mapper.class_.__tablename__: mapper.class_ for mapper in _declared_mappers()}
    order = [table.name for table in Base.metadata.sorted_tables if table.name in models]
    return {name: _kind(models[name]) for name in order}


def _declared_mappers() -> list[Mapper[Any]]:
    return [mapper for mapper in Base.registry.mappers if issubclass(mapper.class_, Declared)]


def _kind(model: Any) -> Kind:
    mapper = inspect(model)
    fields = {}
    for relation in mapper.relationships:
        if relation.direction is RelationshipDirection.MANYTOONE:
            [column] = [local for local, remote in relation.local_remote_pairs if remote.name == "id"]
            attribute = mapper.get_property_by_column(column).key
            fields[relation.key] = Field(relation.key, attribute, relation.mapper.class_.__tablename__)
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        plain = not column.foreign_keys and not column.info.get("derived")
        if plain and attribute.key not in HIDDEN:
            fields[attribute.key] = Field(attribute.key, attribute.key)
    order = list(mapper.all_orm_descriptors.keys())
    ordered = dict(sorted(fields.items(), key=lambda item: order.index(item[0])))
    return Kind(model.__tablename__, model, model.natural, ordered)


def kind_of(row: Base) -> Kind:
    """Return the kind of a declared row."""
    return kinds()[row.__tablename__]


def join_key(kind: Kind, value: Callable[[str], Any]) -> str:
    """Return the natural key of which ``value`` knows the parts."""
    words = []
    for part in kind.natural.parts:
        chosen = next((one for name in part.rstrip("?").split("|") if (one := value(name)) is not None), None)
        if chosen is not None or not part.endswith("?"):
            words.append("" if chosen is None else str(chosen))
    return kind.natural.separator.join(words)


class Naming:
    """Natural keys and documents of a session's rows; every key is looked up once."""

    def __init__(self, session: Session, unsaved: Iterable[Base] = ()) -> None:
        self._session = session
        self._unsaved = {(row.__tablename__, row.id): row for row in unsaved}
        self._known: dict[tuple[str, int], str] = {}

    def key(self, row: Base) -> str:
        """Return the natural key of a row."""
        return self._key(kind_of(row), lambda column: getattr(row, column))

    def document(self, row: Base, value: Callable[[str], Any] | None = None) -> Document:
        """Return a row as a document; ``value`` gives other than its present values, by column."""
        read = value or (lambda column: getattr(row, column))
        return {name: self._field(field, read) for name, field in kind_of(row).fields.items()}

    def by_id(self, kind: Kind, row_id: int) -> str:
        """Return the natural key of the row of a kind with a surrogate id."""
        known = self._known.get((kind.name, row_id))
        if known is None:
            known = self._known[kind.name, row_id] = self._look_up(kind, row_id)
        return known

    def _key(self, kind: Kind, read: Callable[[str], Any]) -> str:
        return join_key(kind, lambda name: self._field(kind.fields[name], read))

    def _field(self, field: Field, read: Callable[[str], Any]) -> Any:
        value = read(field.column)
        if isinstance(value, datetime):
            return moment_text(value)
        if field.target is None or value is None:
            return value
        return self.by_id(kinds()[field.target], value)

    def _look_up(self, kind: Kind, row_id: int) -> str:
        row = self._unsaved.get((kind.name, row_id))
        row = row or self._session.identity_map.get(identity_key(kind.model, row_id))
        if row is not None:
            return self.key(row)
        if (kind.name, row_id) in self._session.info.get(KEYS, ()):
            return str(self._session.info[KEYS][kind.name, row_id])
        columns = [getattr(kind.model, kind.fields[name].column) for name in kind.natural.names()]
        found = self._session.execute(select(*columns).where(kind.model.id == row_id)).one()
        return self._key(kind, dict(zip((column.key for column in columns), found, strict=True)).__getitem__)
