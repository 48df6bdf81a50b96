"""What an import removes when it is asked to: objects of the file's sections that the file does not name.

Whatever somebody else still refers to stays, and says who that is; so does a host that may be in use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from drcloud.cmdb.csvfile import sections
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Problem
from drcloud.cmdb.items import Item
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.state import State

Key = tuple[str, str]

# An allocation belongs to its owner, who gives it back when it is not used; versions are history.
KEPT = frozenset({"allocations", "app_spec_versions", "app_configs"})
# Hosts in these states carry nothing; any other is retired first.
UNUSED = ("planned", "retired")
# Parts that have a section of their own, or whose natural key does not begin with what they are a part of.
OWNERS: Mapping[str, tuple[str, ...]] = {
    "address": ("host",),
    "app_config": ("app",),
    "app_spec_version": ("app",),
    "rack_slot": ("rack", "host"),
}


def removed(document: Document, items: Iterable[Item], state: State) -> dict[Key, str]:
    """Return what a file leaves out of the sections it has, and the parts of that, with the section."""
    wanted = {(item.kind, item.key) for item in items}
    gone: dict[Key, str] = {}
    for section in (name for name in sections() if name in document.model_fields_set - KEPT):
        kind = sections()[section]
        lost = [
            (kind, key)
            for key, fields in state[kind].items()
            if (kind, key) not in wanted and not _is_part(kind, fields)
        ]
        if section == "idcs":
            lost += _places(document, wanted, state)
        gone |= dict.fromkeys(lost, section)
    return gone | _parts(gone, state)


def objections(gone: Mapping[Key, str], final: State, state: State) -> Iterator[Problem]:
    """Yield why something cannot go; ``final`` is the state without it."""
    for (kind, key), section in gone.items():
        if kind == "host" and state[kind][key]["state"] not in UNUSED:
            words = f"host {key} is {state[kind][key]['state']} and is not pruned: retire it first"
            yield Problem((section,), words)
    for kind, known in kinds().items():
        targets = {name: field.target for name, field in known.fields.items() if field.target}
        for referrer, fields in final[kind].items():
            for name, target in targets.items():
                thing = (str(target), str(fields.get(name)))
                if thing in gone:
                    words = f"{_called(thing)} is not pruned: {_called((kind, referrer))} refers to it"
                    yield Problem((gone[thing],), words)


def _is_part(kind: str, fields: Mapping[str, object]) -> bool:
    """Tell whether a row belongs to another one, as a host's address does; others of its kind may not."""
    return any(fields[name] is not None for name, _ in _owners().get(kind, ()))


def _called(thing: Key) -> str:
    return f"{thing[0].replace('_', ' ')} {thing[1]}"


def _places(document: Document, wanted: set[Key], state: State) -> Iterator[Key]:
    """Yield the rooms and racks that are missing where the file lists those of an IDC or a room."""
    idcs = {idc.code for idc in document.idcs if "rooms" in idc.model_fields_set}
    for key, room in state["room"].items():
        if room["idc"] in idcs and ("room", key) not in wanted:
            yield "room", key
    rooms = {
        f"{idc.code}/{room.code}"
        for idc in document.idcs
        for room in idc.rooms
        if "racks" in room.model_fields_set
    }
    for key, rack in state["rack"].items():
        if rack["room"] in rooms and ("rack", key) not in wanted:
            yield "rack", key


def _parts(gone: Mapping[Key, str], state: State) -> dict[Key, str]:
    """Return the parts of what goes, and their parts."""
    found = {("allocation", key): gone["host", host] for key, host in _pools(state) if ("host", host) in gone}
    known = set(gone)
    last = dict(gone)
    while last:
        owners: dict[str, dict[str, str]] = defaultdict(dict)
        for (kind, key), section in last.items():
            owners[kind][key] = section
        last = {}
        for part, names in _owners().items():
            for key, fields in state[part].items() if any(target in owners for _, target in names) else ():
                for name, target in names:
                    whole = owners.get(target, {})
                    if fields[name] in whole and (part, key) not in known:
                        last[part, key] = whole[fields[name]]
        found |= last
        known |= last.keys()
    return found


def _pools(state: State) -> Iterator[tuple[str, str]]:
    """Yield the allocations of pools that end with a host, and that host."""
    for key, fields in state["allocation"].items():
        word, mark, host = str(fields["pool"]).partition(":")
        if mark and word == "ports":
            yield key, host


@cache
def _owners() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the kinds that are parts of others: the fields that name the whole, and its kind.

    What has a section of its own in a file is nobody's part.
    """
    own = set(sections().values())
    found = {}
    for kind, known in kinds().items():
        names = OWNERS.get(kind, tuple(part.rstrip("?") for part in known.natural.parts[:1]))
        fields = [known.fields[name] for name in names if name in known.fields]
        owners = tuple((field.name, field.target) for field in fields if field.target)
        if owners and (kind in OWNERS or kind not in own):
            found[kind] = owners
    return found
