"""Free fields of parts that a file writes as single words: a unit of a rack, a tag of a host, a member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import Document
from drcloud.cmdb.importfile import Problem
from drcloud.cmdb.items.item import Item
from drcloud.cmdb.state import State

SECTION = "part_attrs"


def noted(document: Document, items: Iterable[Item], state: State) -> Iterator[Item]:
    """Yield the items with the free fields that the file gives them, and known parts that only get those."""
    notes: dict[tuple[str, str], Fields] = {
        (entry.kind, entry.key): entry.attrs for entry in document.part_attrs
    }
    for item in items:
        attrs = notes.pop((item.kind, item.key), None)
        yield item if attrs is None else replace(item, fields={**item.fields, "attrs": attrs})
    for number, entry in enumerate(document.part_attrs):
        known = state[entry.kind].get(entry.key)
        if known is not None and (entry.kind, entry.key) in notes:
            fields = {**known, "attrs": entry.attrs}
            yield Item(entry.kind, entry.key, fields, (SECTION, number))


def strays(document: Document, items: Iterable[Item]) -> Iterator[Problem]:
    """Yield the entries whose part neither the file nor the CMDB has, or that stand there twice."""
    wanted = {(item.kind, item.key) for item in items}
    seen = set()
    for number, entry in enumerate(document.part_attrs):
        part = (entry.kind, entry.key)
        name = f"{entry.kind.replace('_', ' ')} {entry.key}"
        if part in seen:
            yield Problem((SECTION, number, "key"), f"{name} stands here twice")
        elif part not in wanted:
            words = f"there is no {name} in the file or the CMDB: name it where its host or placement stands"
            yield Problem((SECTION, number, "key"), words)
        seen.add(part)
