"""Column types and mixins shared by the tables of the CMDB."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, NamedTuple

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

Document = dict[str, Any]

# SQLite numbers rows only in a column typed INTEGER; PostgreSQL wants room for operational tables.
RowId = BigInteger().with_variant(Integer, "sqlite")
JsonDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Text64 = Annotated[str, mapped_column(String(64))]
Text255 = Annotated[str, mapped_column(String(255))]


def now() -> datetime:
    """Return the current time, in UTC and aware of it."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: always stored and returned in UTC, because SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time, for it would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: times in the CMDB carry a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite dropped."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {Document: JsonDocument, datetime: UtcDateTime}

    id: Mapped[int] = mapped_column(RowId, primary_key=True)


class Natural(NamedTuple):
    """What names a declared row to people: attributes, joined.

    ``a|b`` is the first of both that is set; ``a?`` is left out, with its separator, where it is empty.
    """

    parts: tuple[str, ...]
    separator: str = "/"

    def names(self) -> list[str]:
        """Return the attributes that take part in the key."""
        return [name for part in self.parts for name in part.rstrip("?").split("|")]


class Declared:
    """Mixin of declared rows: what should be. Every write is recorded in ``change_log``."""

    natural: ClassVar[Natural]

    uid: Mapped[str] = mapped_column(String(36), unique=True, default=lambda: str(uuid.uuid4()))
    version: Mapped[int] = mapped_column(Integer, nullable=False, default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    attrs: Mapped[Document] = mapped_column(JsonDocument, default=dict)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        """Count ``version`` up with every write, and refuse one that is based on an older row."""
        return {"version_id_col": cls.version}
