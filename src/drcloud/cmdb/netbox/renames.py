"""Rows follow their objects: the state once every own row has the name that its object has in NetBox now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.natural import Kind, join_key, kinds
from drcloud.cmdb.netbox.mapping import Wanted
from drcloud.cmdb.netbox.ownership import MANAGED, PARTS, Key, source_of
from drcloud.cmdb.state import State


@dataclass(slots=True)
class Renamed:
    """The state under new names.

    ``moved`` has the new key of every row that has another one, if only because of what it stands in;
    ``before`` the fields that made the old name of those that NetBox itself renamed, by their new key.
    """

    state: State
    moved: dict[Key, str] = field(default_factory=dict)
    before: dict[Key, Fields] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def follow(state: State, wanted: Iterable[Wanted], url: str) -> Renamed:
    """Return the state under the names that the wanted rows have."""
    former = {
        (kind, source): key
        for kind in MANAGED
        if kind not in PARTS
        for key, fields in state[kind].items()
        if (source := source_of(fields, url))
    }
    targets = {
        (one.kind, former[one.kind, one.source]): one
        for one in wanted
        if not one.part and (one.kind, one.source) in former
    }
    found = Renamed(state)
    if any(one.key != key for (_, key), one in targets.items()):
        found.state = {name: _rows(kind, state[name], targets, found) for name, kind in kinds().items()}
    return found


def _rows(
    kind: Kind, rows: Mapping[str, Fields], targets: Mapping[Key, Wanted], found: Renamed
) -> dict[str, Fields]:
    renamed: dict[str, Fields] = {}
    for key, fields in rows.items():
        new = dict(fields)
        for name, part in kind.fields.items():
            if part.target is not None and (part.target, str(new[name])) in found.moved:
                new[name] = found.moved[part.target, new[name]]
        old = dict(new)
        if one := targets.get((kind.name, key)):
            new |= {name: one.fields[name] for name in kind.natural.names()}
        here = join_key(kind, new.get)
        if here != key:
            found.moved[kind.name, key] = here
        if changed := {name: value for name, value in old.items() if new[name] != value}:
            found.before[kind.name, here] = changed
        if here in renamed:
            what = f"{kind.name.replace('_', ' ')} {here}"
            found.problems.append(
                f"{one.label if one else key} would be {what}, which is in the CMDB already"
            )
        renamed[here] = new
    return renamed
