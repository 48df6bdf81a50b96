"""All declared rows as documents by kind and natural key: what plans are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import Base, Document
from drcloud.cmdb.declared import moment_text
from drcloud.cmdb.natural import Kind, Naming, join_key, kinds

State = Mapping[str, Mapping[str, Document]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The declared state, and the rows behind it: themselves, or only their numbers."""

    documents: dict[str, dict[str, Document]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Base] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)


def load(session: Session, only: Iterable[str] | None = None) -> Loaded:
    """Load all kinds, or only some; keys appear in the order of creation."""
    wanted = frozenset(only or kinds())
    naming = Naming(session)
    loaded = Loaded()
    for name, kind in kinds().items():
        documents = loaded.documents[name] = {}
        if name not in wanted:
            continue
        for row in session.scalars(select(kind.model).order_by(kind.model.id)).all():
            key = naming.key(row)
            documents[key] = naming.document(row)
            loaded.rows[name, key] = row
            loaded.ids[name, key] = row.id
    return loaded


def read(session: Session) -> dict[str, dict[str, Document]]:
    """Return the documents of all kinds without the rows behind them, in a fraction of the time."""
    return known(session).documents


def known(session: Session) -> Loaded:
    """Return the documents of all kinds and the numbers of their rows."""
    loaded = Loaded()
    found = loaded.documents
    keys: dict[str, dict[int, str]] = {}
    for name, kind in kinds().items():
        columns = [getattr(kind.model, one.column) for one in kind.fields.values()]
        rows = session.execute(select(kind.model.id, *columns).order_by(kind.model.id)).all()
        documents = {row[0]: _document(kind, row[1:], keys) for row in rows}
        keys[name] = {row_id: join_key(kind, fields.__getitem__) for row_id, fields in documents.items()}
        for own in [one.name for one in kind.fields.values() if one.target == name]:
            for fields in documents.values():
                fields[own] = keys[name].get(fields[own])
        found[name] = {keys[name][row_id]: fields for row_id, fields in documents.items()}
        loaded.ids.update({(name, key): row_id for row_id, key in keys[name].items()})
    return loaded


def _document(kind: Kind, row: Sequence[Any], keys: Mapping[str, Mapping[int, str]]) -> Document:
    """Return a row as a document; what refers to a row of the same kind keeps its id for now."""
    return {
        name: keys[one.target].get(value) if one.target and one.target in keys else _plain(value)
        for (name, one), value in zip(kind.fields.items(), row, strict=True)
    }


def _plain(value: Any) -> Any:
    return moment_text(value) if isinstance(value, datetime) else value
