"""The part of the declared state that a few objects touch, loaded by key and not with all the rest.

Around an object stand the rows it refers to, what belongs to it, and what it could clash with.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Index, Select, UniqueConstraint, and_, inspect, or_, select
from sqlalchemy.orm import Mapper, Session

from drcloud.cmdb.base import Base
from drcloud.cmdb.declared import (
    Address,
    Allocation,
    App,
    Environment,
    Host,
    Idc,
    LbPool,
    Placement,
    Prefix,
    Rack,
    RackSlot,
    Room,
    fixed_width,
)
from drcloud.cmdb.ipam import port_pool
from drcloud.cmdb.items import Item
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.natural import Kind, Naming, kinds
from drcloud.cmdb.state import Loaded
from drcloud.cmdb.values import column
from drcloud.errors import InvalidInputError

# Kinds whose parts a file gives as whole lists, so that what it leaves out must be seen.
WHOLE = frozenset({"host", "placement"})
# Kinds that are checked against their parts.
COUNTED = frozenset({"app", "placement", "vip"})
# How many rows that stand in the way of a removal are looked for, for each kind.
ENOUGH = 3


def load(
    session: Session, items: Sequence[Item], going: Iterable[tuple[str, str]] = (), *, whole: bool = False
) -> Loaded:
    """Load what the items touch, and what the removal of the ``going`` rows would take along or break.

    ``whole`` adds what belongs to the items, for those that give such rows as complete lists.
    ``InvalidInputError`` names each reference that is neither in the CMDB nor among the items.
    """
    nearby = _Nearby(session)
    for item in items:
        nearby.add(nearby.find(item.kind, item.key))
    missing = [hint for item in items for hint in nearby.refer(item, items)]
    if missing:
        raise InvalidInputError("\n".join(dict.fromkeys(missing)))
    for item in items:
        nearby.surround(item, whole=whole or item.kind in COUNTED)
    for kind, key in going:
        nearby.remove(kind, key)
    return nearby.loaded


def find(session: Session, kind: str, key: str) -> Base | None:
    """Return the row of a natural key."""
    return _Nearby(session).find(kind, key)


def keys(session: Session, kind: str) -> list[str]:
    """Return the natural keys of all rows of a kind."""
    naming = Naming(session)
    return [naming.key(row) for row in session.scalars(select(kinds()[kind].model))]


def unknown(kind: str, key: str, known: Sequence[str]) -> str:
    """Return the sentence about an object that does not exist."""
    hint = meant(key, known) or f"`drcloud cmdb show {kind}` lists what is known"
    return f"there is no {kind.replace('_', ' ')} {key!r} in the CMDB: {hint}"


def splits(kind: Kind, key: str) -> Iterator[dict[str, str]]:
    """Yield the ways to read a natural key as its parts: a separator may also stand inside of one.

    Parts that may be left out come last, and are tried with and without.
    """
    parts, separator = kind.natural
    words = key.split(separator)
    least = sum(not part.endswith("?") for part in parts)
    for count in range(least, len(parts) + 1):
        for cuts in itertools.combinations(range(1, len(words)), count - 1):
            bounds = itertools.pairwise((0, *cuts, len(words)))
            pieces = [separator.join(words[first:last]) for first, last in bounds]
            yield dict(zip(parts, pieces, strict=False))


@cache
def parts_of(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the kinds, and their fields, whose rows belong to a row of this kind and go with it."""
    mapper: Mapper[Any] = inspect(kinds()[kind].model)
    found = {
        relation.mapper.class_.__tablename__: str(relation.back_populates)
        for relation in mapper.relationships
        if relation.cascade.delete_orphan
    }
    if kind in WHOLE:
        found |= {
            name: kind
            for name, other in kinds().items()
            if other.natural.parts[0] == kind and len(other.natural.parts) > 1
        }
    if kind == "host":
        found["address"] = "host"
    return tuple(found.items())


@cache
def referring(kind: str) -> tuple[tuple[str, str], ...]:
    """Return the kinds and fields that refer to a kind."""
    return tuple(
        (name, field.name)
        for name, other in kinds().items()
        for field in other.fields.values()
        if field.target == kind
    )


@cache
def uniques(kind: str) -> tuple[tuple[str, ...], ...]:
    """Return the fields of which no two rows of a kind share the values, the natural key apart."""
    described = kinds()[kind]
    by_column = {column(described, field).name: name for name, field in described.fields.items()}
    table = described.model.__table__
    keys = [one for one in table.constraints if isinstance(one, UniqueConstraint)]  # type: ignore[attr-defined]
    wholes = [one for one in table.indexes if one.unique and not _is_partial(one)]  # type: ignore[attr-defined]
    found = []
    for constraint in (*keys, *wholes):
        names = tuple(by_column.get(one.name, "") for one in constraint.columns)
        if all(names) and set(names) != set(described.natural.names()):
            found.append(names)
    return tuple(sorted(found))


def _is_partial(index: Index) -> bool:
    return index.dialect_options["sqlite"]["where"] is not None


class _Nearby:
    """Collects rows of one session; every row is read once."""

    def __init__(self, session: Session) -> None:
        self.loaded = Loaded({kind: {} for kind in kinds()}, {})
        self._session = session
        self._naming = Naming(session)
        self._found: dict[tuple[str, str], Base | None] = {}

    def find(self, kind: str, key: str) -> Base | None:
        """Return the row of a natural key; an ambiguous one is an ``InvalidInputError``."""
        if (kind, key) not in self._found:
            ways = (self._query(kinds()[kind], parts) for parts in splits(kinds()[kind], key))
            rows = {row.id: row for way in ways if way is not None for row in self._session.scalars(way)}
            if len(rows) > 1:
                raise InvalidInputError(f"{kind} {key!r} may be any of {len(rows)}: give its fields instead")
            self._found[kind, key] = next(iter(rows.values()), None)
        return self._found[kind, key]

    def _query(self, kind: Kind, parts: Mapping[str, str]) -> Select[Any] | None:
        conditions = []
        for part, text in parts.items():
            condition = self._is(kind, part.rstrip("?").split("|"), text)
            if condition is None:
                return None
            conditions.append(condition)
        for part in kind.natural.parts:
            if part not in parts:
                conditions.append(getattr(kind.model, kind.fields[part.rstrip("?")].column).is_(None))
        return select(kind.model).where(*conditions)

    def _is(self, kind: Kind, names: Sequence[str], text: str) -> ColumnElement[bool] | None:
        """Return the condition that the first of some fields that is set has a value."""
        ways: list[ColumnElement[bool]] = []
        empty: list[ColumnElement[bool]] = []
        for name in names:
            field = kind.fields[name]
            value: Any = text
            if field.target is not None:
                other = self.find(field.target, text)
                value = None if other is None else other.id
            elif column(kind, field).type.python_type is int:
                value = int(text) if text.isdecimal() else None
            attribute = getattr(kind.model, field.column)
            if value is not None:
                ways.append(and_(*empty, attribute == value))
            empty.append(attribute.is_(None))
        return or_(*ways) if ways else None

    def add(self, row: Base | None) -> None:
        """Take a row in, with all that it refers to."""
        if row is None:
            return
        kind, key = kinds()[row.__tablename__], self._naming.key(row)
        if (kind.name, key) in self.loaded.rows:
            return
        self.loaded.rows[kind.name, key] = row
        self._found[kind.name, key] = row
        self.loaded.documents[kind.name][key] = self._naming.document(row)
        for field in kind.fields.values():
            target = getattr(row, field.column) if field.target is not None else None
            if target is not None:
                self.add(self._session.get(kinds()[str(field.target)].model, target))

    def refer(self, item: Item, items: Iterable[Item]) -> Iterator[str]:
        """Take in what an item refers to; yield a sentence for what does not exist."""
        wanted = {(one.kind, one.key) for one in items}
        for name, value in item.fields.items():
            target = kinds()[item.kind].fields[name].target
            if target is None or value is None or (target, value) in wanted:
                continue
            row = self.find(target, value)
            self.add(row)
            if row is None:
                words = target.replace("_", " ")
                hint = (
                    meant(value, keys(self._session, target))
                    or f"`drcloud cmdb show {target}` lists what is known"
                )
                yield f"{named(item)}: {name}: there is no {words} {value!r} in the CMDB: {hint}"

    def surround(self, item: Item, *, whole: bool) -> None:
        """Take in what an item could clash with and, where it matters, what belongs to it."""
        row = self.loaded.rows.get((item.kind, item.key))
        if row is not None and whole:
            for kind, field in parts_of(item.kind):
                self._add_referring(kind, field, row)
        self._add_rivals(item, {**self.loaded.documents[item.kind].get(item.key, {}), **item.fields})
        if around := _AROUND.get(item.kind):
            for query in around(item):
                self._add_all(query)

    def _add_all(self, query: Select[Any]) -> None:
        for row in self._session.scalars(query).all():
            self.add(row)

    def _add_referring(self, kind: str, field: str, row: Base, limit: int | None = None) -> None:
        model = kinds()[kind].model
        attribute = getattr(model, kinds()[kind].fields[field].column)
        self._add_all(select(model).where(attribute == row.id).order_by(model.id).limit(limit))

    def _add_rivals(self, item: Item, fields: Mapping[str, Any]) -> None:
        kind = kinds()[item.kind]
        for names in uniques(item.kind):
            if not set(names) & set(item.fields):
                continue
            values = {name: self._stored(kind, name, fields.get(name)) for name in names}
            if None not in values.values():
                same = (getattr(kind.model, kind.fields[name].column) == values[name] for name in names)
                self._add_all(select(kind.model).where(*same))

    def _stored(self, kind: Kind, name: str, value: Any) -> Any:
        target = kind.fields[name].target
        if target is None or value is None:
            return value
        row = self.find(target, value)
        return None if row is None else row.id

    def remove(self, kind: str, key: str) -> None:
        """Take in a row that shall go, what goes with it, and some of what stands in its way."""
        row = self.find(kind, key)
        if row is None:
            return
        self.add(row)
        parts = parts_of(kind)
        for other, field in parts:
            before = set(self.loaded.rows)
            self._add_referring(other, field, row)
            for name, part in set(self.loaded.rows) - before:
                if name == other:
                    self.remove(name, part)
        for other, field in set(referring(kind)) - set(parts):
            self._add_referring(other, field, row, ENOUGH)


def named(item: Item) -> str:
    """Return how an object is named in messages."""
    return f"{item.kind.replace('_', ' ')} {item.key}"


def _around_address(item: Item) -> Iterator[Select[Any]]:
    """Yield the prefixes an address may lie in, and the other addresses of the hosts it moves between."""
    yield containing(item.key.partition("@")[0])
    hosts = [name for name in (item.fields.get("host"),) if name]
    yield select(Address).join(Host, Address.host_id == Host.id).where(Host.name.in_(hosts))
    keepers = select(Address.host_id).where(Address.address == item.key.partition("@")[0])
    yield select(Address).where(Address.host_id.in_(keepers))


def containing(address: str) -> Select[Any]:
    """Return the query of the prefixes that an address lies in."""
    value = fixed_width(ipaddress.ip_address(address))
    return select(Prefix).where(Prefix.first <= value, Prefix.last >= value)


def _around_prefix(item: Item) -> Iterator[Select[Any]]:
    network = ipaddress.ip_network(item.key.partition("@")[0])
    first, last = fixed_width(network.network_address), fixed_width(network.broadcast_address)
    yield select(Prefix).where(Prefix.first <= last, Prefix.last >= first)


def _around_app(_item: Item) -> Iterator[Select[Any]]:
    yield select(kinds()["registry"].model)
    yield select(kinds()["environment"].model)


def _around_member(item: Item) -> Iterator[Select[Any]]:
    yield select(Allocation).where(Allocation.pool == port_pool(item.fields["host"]))


def _around_host(item: Item) -> Iterator[Select[Any]]:
    """Yield the units that a host occupies, which it does not leave behind when it moves."""
    if "rack" in item.fields:
        yield select(RackSlot).join(Host, RackSlot.host_id == Host.id).where(Host.name == item.key)


def _around_pool(item: Item) -> Iterator[Select[Any]]:
    """Yield the other pools of the placement, which are all of one mode."""
    app, _, env = str(item.fields.get("placement") or "").partition("@")
    placed = select(LbPool).join(LbPool.placement).join(Placement.app).join(Placement.environment)
    yield placed.where(App.name == app, Environment.name == env)


def _around_rack(item: Item) -> Iterator[Select[Any]]:
    room, _, code = item.key.rpartition("/")
    idc, _, room_code = room.partition("/")
    here = select(RackSlot).join(Rack, RackSlot.rack_id == Rack.id).join(Rack.room).join(Room.idc)
    yield here.where(Rack.code == code, Room.code == room_code, Idc.code == idc)


_AROUND: dict[str, Callable[[Item], Iterator[Select[Any]]]] = {
    "address": _around_address,
    "prefix": _around_prefix,
    "app": _around_app,
    "app_spec_version": _around_app,
    "host": _around_host,
    "lb_pool": _around_pool,
    "placement_host": _around_member,
    "rack": _around_rack,
}
