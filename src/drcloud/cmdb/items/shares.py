"""Batches of placements that a file gives as a share of the hosts: kept among the placement's attrs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.document import Document, PlacementEntry
from drcloud.cmdb.items.item import Item
from drcloud.cmdb.snapshot import BATCH_PERCENT
from drcloud.cmdb.state import State


def shared(document: Document, items: Iterable[Item], state: State) -> Iterator[Item]:
    """Yield the items, placements with their share; one of which a file says nothing stays as it is."""
    said = {f"{entry.app}@{entry.env}": entry for entry in document.placements}
    for item in items:
        entry = said.get(item.key) if item.kind == "placement" else None
        yield item if entry is None else _with_share(item, entry, state)


def _with_share(item: Item, entry: PlacementEntry, state: State) -> Item:
    known: Fields = state["placement"].get(item.key, {}).get("attrs") or {}
    attrs: Fields = item.fields.get("attrs", known)
    percent = entry.batch_percent if "batch" in entry.model_fields_set else known.get(BATCH_PERCENT)
    others = {name: value for name, value in attrs.items() if name != BATCH_PERCENT}
    wanted = {**others, BATCH_PERCENT: percent} if percent else others
    if wanted == attrs:
        return item
    return replace(item, fields={**item.fields, "attrs": wanted})
