"""The plan of an import: pure, from a document and the declared state to an ordered list of changes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import ValidationError

from drcloud.cmdb import checks
from drcloud.cmdb import prune as prunes
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Problem
from drcloud.cmdb.ipam import PORTS, SLOTS, first_free, port_owner, port_pool
from drcloud.cmdb.items import Item, flatten
from drcloud.cmdb.state import State

SIGNS = {"create": "+", "update": "~", "delete": "-"}


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
    items = list(_items(document, state))
    duplicates = checks.duplicates(items)
    if duplicates:
        return Plan((), tuple(duplicates))
    gone = prunes.removed(document, items, state) if prune else {}
    changes = [Change(kind, key, "delete", state[kind][key], {}) for kind, key in gone]
    changes += [*_removals(document, items, state), *_writes(items, state, gone)]
    final = _final(state, changes)
    problems = (*checks.all_of(items, state, final), *prunes.objections(gone, final, state))
    if problems:
        return Plan((), problems)
    return Plan((*changes, *_ports(document, final)), ())


def _items(document: Document, state: State) -> Iterator[Item]:
    registries = {*state["registry"], *(entry.name for entry in document.registries)}
    only = next(iter(registries)) if len(registries) == 1 else None
    for item in flatten(document, state["prefix"], only):
        yield _settled(item, state)
    for number, app in enumerate(document.apps):
        yield from _spec(app.name, app.spec, state, number)


def _settled(item: Item, state: State) -> Item:
    """Leave out what a file only says of a beginning: a host's state ``planned``, an app's registry."""
    known = state[item.kind].get(item.key)
    if known is not None and item.kind == "host" and item.fields.get("state") == "planned":
        fields = {name: value for name, value in item.fields.items() if name != "state"}
        return Item(item.kind, item.key, fields, item.position, item.at)
    return item


def _spec(app: str, spec: AppSpec, state: State, number: int) -> Iterator[Item]:
    """Yield a new version of a specification if it differs from the present one."""
    known = state["app"].get(app)
    present = known["spec_version"] if known else 0
    if known and _same(state["app_spec_version"][f"{app}/{present}"]["document"], spec):
        return
    fields = {"app": app, "number": present + 1, "document": spec.model_dump(mode="json")}
    place = ("apps", number, "spec")
    yield Item("app_spec_version", f"{app}/{present + 1}", fields, place, dict.fromkeys(fields, ()))


def _same(stored: Fields, spec: AppSpec) -> bool:
    try:
        return AppSpec.model_validate(stored) == spec
    except ValidationError:
        return False


def _removals(document: Document, items: list[Item], state: State) -> Iterator[Change]:
    """Yield what must go because the file gives a whole list in which it is missing."""
    wanted = {(item.kind, item.key): item for item in items}
    hosts = {entry.name for entry in document.hosts}
    with_disks = {entry.name for entry in document.hosts if "block_devices" in entry.model_fields_set}
    with_keys = {entry.name for entry in document.hosts if "host_keys" in entry.model_fields_set}
    placements = {f"{entry.app}@{entry.env}" for entry in document.placements}
    owned = (
        ("address", "host", hosts),
        ("block_device", "host", with_disks),
        ("host_key", "host", with_keys),
        ("placement_host", "placement", placements),
        ("placement_lb", "placement", placements),
    )
    for kind, owner, owners in owned:
        for key, fields in state[kind].items():
            item = wanted.get((kind, key))
            gone = item is None and fields[owner] in owners
            # An address that moves to another host is taken away first, for a host has only one.
            moved = item is not None and kind == "address" and item.fields["host"] != fields["host"]
            if gone or (moved and fields["host"] in hosts):
                yield Change(kind, key, "delete", fields, {})


def _writes(items: Iterable[Item], state: State, gone: Container[tuple[str, str]]) -> Iterator[Change]:
    versions = {
        item.fields["app"]: item.fields["number"] for item in items if item.kind == "app_spec_version"
    }
    hosts = {item.key for item in items if item.kind == "host"}
    for item in items:
        known = state[item.kind].get(item.key)
        if (
            known
            and item.kind == "address"
            and known["host"] != item.fields["host"]
            and known["host"] in hosts
        ):
            known = None
        if (item.kind, item.key) in gone:
            known = None
        fields = dict(item.fields)
        if item.kind == "app" and item.key in versions:
            fields["spec_version"] = versions[item.key]
        if known is None:
            yield Change(item.kind, item.key, "create", {}, fields, _former(item, state))
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
    """Return the state as it will be."""
    final = {kind: dict(rows) for kind, rows in state.items()}
    for change in changes:
        if change.action == "delete":
            final[change.kind].pop(change.key)
        else:
            final[change.kind][change.key] = {**final[change.kind].get(change.key, {}), **change.after}
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
                    yield Change("allocation", f"{pool}/{owner}", "create", {}, fields)
