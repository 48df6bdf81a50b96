"""Objects as entries of an import file, written one by one: with the plan of the import itself.

What an entry leaves out stays as it is, also what a file must always say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from drcloud.cmdb import changes as change_tickets
from drcloud.cmdb import document as documents
from drcloud.cmdb import hosts, nearby, objections, objects
from drcloud.cmdb import plan as plans
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.importfile import Position, Problem, Source, spell
from drcloud.cmdb.items import Item, flatten
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted

# What entries are called by, in the order of preference.
NAMES = ("name", "ticket", "address", "cidr", "vid", "code", "app")
# Where states begin, and what speaks against a way back.
BEGINNINGS: dict[str, tuple[str, Callable[[str, str, str], str | None]]] = {
    "host": ("planned", hosts.objection),
    "change": ("draft", change_tickets.objection),
}
# Sections of an app's versions, which are compared with those that it has.
VERSIONED = frozenset({"app_configs", "app_spec_versions"})
SINGULAR = {"prefixes": "prefix", "registries": "registry", "addresses": "address"}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a section, as ``hosts``; ``version`` is the one its object must still have."""

    section: str
    fields: Mapping[str, Any]
    version: int | None = None

    @property
    def name(self) -> str:
        """How the object is named in messages."""
        kind = SINGULAR.get(self.section, self.section.removesuffix("s")).replace("_", " ")
        return f"{kind} {next((self.fields[name] for name in NAMES if name in self.fields), '')}".strip()


class Task(Source):
    """Entries that stand in a task instead of a file: problems are told by object and field."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.name = "task"
        self.value = {"drcloud": documents.FORMAT}
        self._at: dict[Position, Entry] = {}
        for entry in entries:
            section = self.value.setdefault(entry.section, [])
            self._at[entry.section, len(section)] = entry
            section.append(dict(entry.fields))

    def line(self, position: Position) -> int:
        """Return 0: a task has no lines."""
        return 0

    def spell(self, position: Position) -> str:
        """Return a position as the object and the field in it."""
        if position[:2] not in self._at:
            return spell(position)
        entry = self.entry(position)
        return ": ".join(word for word in (entry.name, spell(position[2:])) if word)

    def complaints(self, problems: Iterable[Problem]) -> list[str]:
        """Return problems as ``object: field: message``."""
        found = sorted((self.spell(one.position), one.message) for one in problems)
        return [f"{where}: {objections.without_file(message)}" for where, message in found]

    def entry(self, position: Position) -> Entry:
        """Return the entry that a position lies in."""
        return self._at[position[:2]]


def declare(
    store: Store,
    entries: Sequence[Entry] | Callable[[Session], Sequence[Entry]],
    *,
    reason: str,
    ticket: str | None = None,
    actor: str | None = None,
    dry_run: bool = False,
) -> objects.Outcome:
    """Bring objects to what the entries say, all of them or none; errors as of ``objects.change``.

    Entries that depend on what there is are a function: it is asked where nobody else writes meanwhile.
    """
    mains: list[tuple[str, str]] = []

    def planned(session: Session) -> tuple[Loaded, tuple[Change, ...]]:
        given = entries(session) if callable(entries) else entries
        task = Task([_completed(session, entry) for entry in given])
        document = documents.parse(task)
        items = list(flatten(document, {}, None))
        apps = [Item("app", str(one.fields.get("app")), {}, ()) for one in given if one.section in VERSIONED]
        loaded = nearby.load(session, [*items, *apps], whole=True)
        first: dict[Position, Item] = {}
        for item in items:
            first.setdefault(item.position[:2], item)
        mains[:] = [(item.kind, item.key) for item in first.values()]
        for position, item in first.items():
            version = task.entry(position).version
            objects.refuse_stale(Wanted(item.kind, key=item.key, version=version), loaded)
        plan = plans.make(document, loaded.documents)
        task.fail([*plan.problems, *_bad_returns(first.values(), loaded)])
        return loaded, _with_returns(plan.changes, first.values(), loaded)

    unit = {"reason": reason, "ticket": ticket, "actor": actor}
    return objects.carry_out(store, planned, lambda: mains, unit=unit, dry_run=dry_run)


def _returns(items: Iterable[Item], loaded: Loaded) -> Iterator[tuple[Item, str]]:
    """Yield what shall be where it began, which a file never asks for, with its present state."""
    for item in items:
        known = loaded.documents[item.kind].get(item.key)
        begin = BEGINNINGS.get(item.kind)
        if known and begin and item.fields.get("state") == begin[0] != known["state"]:
            yield item, known["state"]


def _bad_returns(items: Iterable[Item], loaded: Loaded) -> Iterator[Problem]:
    for item, state in _returns(items, loaded):
        begin, objection = BEGINNINGS[item.kind]
        if wrong := objection(item.key, state, begin):
            yield Problem(item.where("state"), wrong)


def _with_returns(changes: tuple[Change, ...], items: Iterable[Item], loaded: Loaded) -> tuple[Change, ...]:
    planned = {(one.kind, one.key): one for one in changes}
    for item, state in _returns(items, loaded):
        known = planned.get((item.kind, item.key))
        before, after = (known.before, known.after) if known else ({}, {})
        planned[item.kind, item.key] = Change(
            item.kind,
            item.key,
            "update",
            {**before, "state": state},
            {**after, "state": item.fields["state"]},
        )
    return tuple(planned.values())


def _completed(session: Session, entry: Entry) -> Entry:
    """Return an entry with what a file must say and the CMDB knows already."""
    complete = _COMPLETE.get(entry.section)
    if complete is None:
        return entry
    known = complete(session, entry.fields)
    return Entry(entry.section, {**known, **entry.fields}, entry.version)


def _known(session: Session, kind: str, key: str) -> tuple[Loaded, dict[str, Any]]:
    row = nearby.find(session, kind, key)
    loaded = nearby.load(session, [Item(kind, key, {}, ())] if row is not None else [], whole=True)
    return loaded, loaded.documents[kind].get(key, {})


def _host(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    name = str(fields.get("name"))
    loaded, known = _known(session, "host", name)
    if not known:
        return {}
    addresses = [
        one["address"]
        for one in loaded.documents["address"].values()
        if one["host"] == name and one["purpose"] == PRIMARY
    ]
    return {"role": known["role"], "address": addresses[0] if addresses else None}


def _app(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    name = str(fields.get("name"))
    loaded, known = _known(session, "app", name)
    if not known:
        return {}
    return {"spec": loaded.documents["app_spec_version"][f"{name}/{known['spec_version']}"]["document"]}


def _placement(session: Session, fields: Mapping[str, Any]) -> dict[str, Any]:
    key = f"{fields.get('app')}@{fields.get('env')}"
    loaded, known = _known(session, "placement", key)
    if not known:
        return {}
    members = {
        kind: sorted(loaded.documents[kind].values(), key=lambda one: int(one["position"]))
        for kind in ("placement_host", "placement_lb")
    }
    return {
        "hosts": [one["host"] for one in members["placement_host"]],
        "lbs": [one["host"] for one in members["placement_lb"]],
        "lb_port": known["lb_port"],
    }


_COMPLETE: dict[str, Callable[[Session, Mapping[str, Any]], dict[str, Any]]] = {
    "hosts": _host,
    "apps": _app,
    "placements": _placement,
}
