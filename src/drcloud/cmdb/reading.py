"""Read objects of a kind: by natural key, by the values of their fields, now or as of a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from drcloud.cmdb import history, nearby, values
from drcloud.cmdb.base import Base, Document
from drcloud.cmdb.declared import PRIMARY, Address
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import Kind, Naming
from drcloud.cmdb.objects import Found
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import kind_named
from drcloud.errors import InvalidInputError, NotFoundError


def read(
    store: Store,
    kind: str,
    names: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    as_of: str | None = None,
) -> list[Found]:
    """Return the objects of a kind; those named, or all, of which every field of ``where`` has its value.

    A list of values means any of them; ``attrs.team`` looks into a free document. ``as_of`` is a moment as
    ``drcloud.cmdb.history.resolve_known`` reads it; objects of the past have no version. A name that is
    unknown is a ``NotFoundError``, a field that is unknown or a value that it cannot have an
    ``InvalidInputError``. Hosts come with the ``address`` they are reached at.
    """
    described = kind_named(kind)
    wanted = {name: _checked(described, name, value) for name, value in (where or {}).items()}
    with store.read() as session:
        if as_of is not None:
            return [one for one in _past(session, described, names, as_of) if _matches(one.fields, wanted)]
        rows = _named(session, described, names) if names else _rows(session, described, wanted)
        return [one for one in _found(session, described, rows) if _matches(one.fields, wanted)]


def _checked(kind: Kind, name: str, value: Any) -> list[Any]:
    """Return the values that a field may have, as the CMDB stores them."""
    wanted = value if isinstance(value, list) else [value]
    base, _, part = name.partition(".")
    if base not in kind.fields:
        hint = meant(base, list(kind.fields)) or f"it has {', '.join(kind.fields)}"
        raise InvalidInputError(f"{kind.name} has no field {base!r} to look for: {hint}")
    if part:
        return wanted
    try:
        return [None if one is None else values.checked(kind, base, one) for one in wanted]
    except ValueError as error:
        raise InvalidInputError(f"{kind.name}: {name}: {error}") from None


def _rows(session: Session, kind: Kind, wanted: Mapping[str, list[Any]]) -> Sequence[Base]:
    query = select(kind.model).order_by(kind.model.id)
    for name, values_ in wanted.items():
        if not values.is_json(kind, name.partition(".")[0]):
            query = query.where(_is_any(session, kind, name, values_))
    return session.scalars(query).all()


def _is_any(session: Session, kind: Kind, name: str, wanted: Iterable[Any]) -> ColumnElement[bool]:
    field = kind.fields[name]
    attribute = getattr(kind.model, field.column)
    ways = []
    for value in wanted:
        if value is None or field.target is None:
            ways.append(attribute.is_(None) if value is None else attribute == value)
            continue
        other = nearby.find(session, field.target, value)
        if other is None:
            raise NotFoundError(nearby.unknown(field.target, value, nearby.keys(session, field.target)))
        ways.append(attribute == other.id)
    return or_(*ways)


def _named(session: Session, kind: Kind, names: Iterable[str]) -> list[Base]:
    rows = []
    for name in names:
        row = nearby.find(session, kind.name, name)
        if row is None:
            raise NotFoundError(nearby.unknown(kind.name, name, nearby.keys(session, kind.name)))
        rows.append(row)
    return rows


def _found(session: Session, kind: Kind, rows: Sequence[Base]) -> Iterator[Found]:
    naming = Naming(session)
    addresses = _addresses(session, rows) if kind.name == "host" else {}
    for row in rows:
        fields = naming.document(row)
        if kind.name == "host":
            fields["address"] = addresses.get(row.id)
        yield Found(kind.name, naming.key(row), row.version, fields)  # type: ignore[attr-defined]


def _addresses(session: Session, rows: Sequence[Base]) -> dict[int, str]:
    query = select(Address.host_id, Address.address).where(Address.purpose == PRIMARY)
    if len(rows) == 1:
        query = query.where(Address.host_id == rows[0].id)
    return {host: address for host, address in session.execute(query) if host is not None}


def _past(session: Session, kind: Kind, names: Sequence[str], as_of: str) -> Iterator[Found]:
    state = history.documents(session, history.resolve_known(session, as_of))
    documents = state[kind.name]
    for name in names:
        if name not in documents:
            raise NotFoundError(nearby.unknown(kind.name, name, list(documents)))
    addresses = {
        one["host"]: one["address"] for one in state["address"].values() if one["purpose"] == PRIMARY
    }
    for key in names or documents:
        fields: Document = dict(documents[key])
        if kind.name == "host":
            fields["address"] = addresses.get(key)
        yield Found(kind.name, key, None, fields)


def _matches(fields: Mapping[str, Any], wanted: Mapping[str, list[Any]]) -> bool:
    return all(_value(fields, name) in any_of for name, any_of in wanted.items())


def _value(fields: Mapping[str, Any], path: str) -> Any:
    value: Any = fields
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
