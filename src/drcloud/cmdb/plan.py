"""The plan of an import: pure, from a document and the declared state to an ordered list of changes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from drcloud.cmdb import checks, parts
from drcloud.cmdb import prune as prunes
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Problem
from drcloud.cmdb.ipam import PORTS, SLOTS, first_free, port_owner, port_pool
from drcloud.cmdb.items import Item, flatten, noted, shared, slots, strays, versions
from drcloud.cmdb.state import State

FIRST = {"host": "planned", "change": "draft"}
SIGNS = {"create": "+", "update": "~", "delete": "-"}
# What new rows were before, one for all of them.
NOTHING: Fields = {}


@dataclass(frozen=True, slots=True)
class Change:
    """A row to create, update or delete; ``before`` and ``after`` hold the fields that differ.

    ``against`` is what people compare a new row with: the version of a specification before it.
    """

    kind: str
    key: str
    action: Literal["create", "update", "delete"]
    before: Fields
    after: Fields
    against: Fields | None = field(default=None, compare=False, repr=False)

    def line(self) -> str:
        """Return the change as a line of a diff."""
        return f"{self._head()}  {', '.join(self._words())}".rstrip()

    def lines(self) -> list[str]:
        """Return the change as a diff that shows every value: what does not fit one line has more."""
        if self.action == "create" and self.against is None:
            return [self.line()]
        before = self.before if self.against is None else self.against
        told = list(_differences(before, self.after)) if self.action != "delete" else []
        return (
            [f"{self._head()}  {told[0]}"]
            if len(told) == 1
            else [self._head(), *(f"    {one}" for one in told)]
        )

    def _head(self) -> str:
        return f"{SIGNS[self.action]} {self.kind} {self.key}"

    def _words(self) -> Iterator[str]:
        for name, value in self.after.items():
            if self.action == "update":
                yield f"{name}: {_plain(self.before[name])} → {_plain(value)}"
            elif _is_short(value):
                yield f"{name}: {_plain(value)}"


def _differences(before: Fields, after: Fields, path: str = "") -> Iterator[str]:
    """Yield the values that differ, by their dotted path; what ``after`` has no word of is gone if nested."""
    for name in [*after, *(name for name in before if path and name not in after)]:
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}: {_plain(old)} → {_plain(new)}"


def _is_short(value: object) -> bool:
    """Tell whether a value fits into a line; documents do not."""
    return value is not None and not isinstance(value, (dict, list))


def _plain(value: object) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False).strip('"')


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import would do, or what is wrong with the file."""

    changes: tuple[Change, ...]
    problems: tuple[Problem, ...]


def make(document: Document, state: State, *, prune: bool = False) -> Plan:
    """Compare a document with the declared state; ``prune`` removes what its sections do not name."""
    items = list(noted(document, shared(document, _items(document, state), state), state))
    duplicates = checks.duplicates(items)
    if duplicates:
        return Plan((), tuple(duplicates))
    gone = prunes.removed(document, items, state) if prune else {}
    lost = parts.lost(document, items, state)
    away = {**gone, **lost}
    changes = [Change(kind, key, "delete", state[kind][key], {}) for kind, key in away]
    changes += _writes(items, state, away)
    final = _final(state, changes)
    problems = (
        *checks.all_of(items, state, final),
        *parts.takeovers(items, state, away),
        *strays(document, items),
        *prunes.objections(gone, final, state),
    )
    if problems:
        return Plan((), problems)
    return Plan((*changes, *_ports(document, final)), ())


def _items(document: Document, state: State) -> Iterator[Item]:
    registries = {*state["registry"], *(entry.name for entry in document.registries)}
    only = next(iter(registries)) if len(registries) == 1 else None
    for item in flatten(document, state["prefix"], only):
        yield _settled(item, state)
    yield from slots(document, state)
    yield from versions(document, state)


def _settled(item: Item, state: State) -> Item:
    """Leave out what a file only says of a beginning: the first state of a host or a change."""
    known = state[item.kind].get(item.key)
    if known is not None and item.kind in FIRST and item.fields.get("state") == FIRST[item.kind]:
        fields = {name: value for name, value in item.fields.items() if name != "state"}
        return Item(item.kind, item.key, fields, item.position, item.at)
    return item


def _writes(items: Iterable[Item], state: State, gone: Container[tuple[str, str]]) -> Iterator[Change]:
    present = {
        item.fields["app"]: item.fields["number"]
        for item in items
        if item.kind == "app_spec_version" and item.position[:1] == ("apps",)
    }
    for item in items:
        known = state[item.kind].get(item.key)
        if (item.kind, item.key) in gone:
            known = None
        fields = item.fields
        if item.kind == "app" and item.key in present:
            fields = {**fields, "spec_version": present[item.key]}
        if known is None:
            yield Change(item.kind, item.key, "create", NOTHING, fields, _former(item, state))
            continue
        after = {name: value for name, value in fields.items() if known[name] != value}
        if after:
            yield Change(item.kind, item.key, "update", {name: known[name] for name in after}, after)


def _former(item: Item, state: State) -> Fields | None:
    """Return the specification that a new one takes the place of."""
    if item.kind != "app_spec_version":
        return None
    return state["app_spec_version"].get(f"{item.fields['app']}/{item.fields['number'] - 1}")


def _final(state: State, changes: Iterable[Change]) -> dict[str, dict[str, Fields]]:
    """Return the state as it will be; what nothing changes is not copied."""
    final = {kind: dict(rows) for kind, rows in state.items()}
    for change in changes:
        rows = final[change.kind]
        if change.action == "delete":
            rows.pop(change.key)
        else:
            before = rows.get(change.key)
            rows[change.key] = {**before, **change.after} if before else change.after
    return final


def _ports(document: Document, final: State) -> Iterator[Change]:
    """Yield a port for every slot that has none; ports of a host that left a placement stay reserved."""
    used: dict[str, set[int]] = defaultdict(set)
    owners = set()
    for fields in final["allocation"].values():
        used[fields["pool"]].add(fields["value"])
        owners.add((fields["pool"], fields["owner"]))
    for placement in document.placements:
        for host in placement.hosts:
            for slot in SLOTS:
                pool, owner = port_pool(host), port_owner(placement.app, placement.env, slot)
                if (pool, owner) not in owners:
                    value = first_free(pool, used[pool], PORTS)
                    used[pool].add(value)
                    fields = {"pool": pool, "owner": owner, "value": value}
                    yield Change("allocation", f"{pool}/{owner}", "create", NOTHING, fields)
