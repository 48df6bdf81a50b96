"""All declared rows as documents by kind and natural key: what plans are made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import Base, Document
from drcloud.cmdb.natural import Naming, kinds

State = Mapping[str, Mapping[str, Document]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The declared state, and the rows behind it."""

    documents: dict[str, dict[str, Document]] = field(default_factory=dict)
    rows: dict[tuple[str, str], Base] = field(default_factory=dict)


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
    return loaded
