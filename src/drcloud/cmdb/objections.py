"""What speaks against a plan for single objects, beyond what is checked of an import."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from drcloud.cmdb import nearby
from drcloud.cmdb.declared import PRIMARY
from drcloud.cmdb.items import Item
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import State

# An import speaks of its file, where there is none in a task.
WITHOUT_FILE = {
    " in the file or the CMDB": " in the CMDB",
    " of the file or the CMDB": " of the CMDB",
    ": add its prefix under `prefixes`": ": declare its prefix first",
    ": declare it in the file": ": declare it first",
}


def without_file(message: str) -> str:
    """Return a sentence about a file as one about the CMDB."""
    for words, instead in WITHOUT_FILE.items():
        message = message.replace(words, instead)
    return message


def clashes(items: Iterable[Item], final: State) -> Iterator[str]:
    """Yield the values that would belong to two objects of which only one may have them."""
    holders = _Holders(final)
    for item in items:
        if rule := _RULES.get(item.kind):
            yield from (f"{nearby.named(item)}: {wrong}" for wrong in rule(item, final))
        for names in nearby.uniques(item.kind):
            mine = tuple(item.fields[name] for name in names)
            for key in holders.of(item.kind, names, mine) if None not in mine else ():
                if key != item.key:
                    words = " and ".join(f"{name} {value}" for name, value in zip(names, mine, strict=True))
                    owner = f"{item.kind.replace('_', ' ')} {key}"
                    yield f"{nearby.named(item)}: {words} belongs to {owner} already"


def dangling(changes: Iterable[Change], final: State) -> Iterator[str]:
    """Yield what still refers to an object that goes."""
    holders = _Holders(final)
    for one in changes:
        if one.action == "delete" and one.key not in final[one.kind]:
            for kind, name in nearby.referring(one.kind):
                if users := holders.of(kind, (name,), (one.key,)):
                    what = f"{kind.replace('_', ' ')} {', '.join(sorted(users)[: nearby.ENOUGH])}"
                    yield f"{one.kind.replace('_', ' ')} {one.key} is still used by {what}: remove that first"


class _Holders:
    """Who has which values; each combination of fields is gone through once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[tuple[str, tuple[str, ...]], dict[tuple[Any, ...], list[str]]] = {}

    def of(self, kind: str, names: tuple[str, ...], values: tuple[Any, ...]) -> list[str]:
        """Return the objects of a kind whose fields have these values."""
        if (kind, names) not in self._known:
            found = self._known[kind, names] = defaultdict(list)
            for key, fields in self._state[kind].items():
                found[tuple(fields.get(name) for name in names)].append(key)
        return self._known[kind, names].get(values, [])


def _address(item: Item, final: State) -> Iterator[str]:
    """Yield that a host would have two addresses to be reached at."""
    host = item.fields["host"]
    if host is None or item.fields["purpose"] != PRIMARY:
        return
    for key, fields in final["address"].items():
        if key != item.key and fields["host"] == host and fields["purpose"] == PRIMARY:
            yield f"purpose: host {host} has the management address {key} already: give one another purpose"


def _app(item: Item, final: State) -> Iterator[str]:
    number = item.fields["spec_version"]
    if f"{item.key}/{number}" not in final["app_spec_version"]:
        yield f"spec_version: there is no specification {number} of it: declare it with cmdb_app or an import"


_RULES: dict[str, Callable[[Item, State], Iterator[str]]] = {"address": _address, "app": _app}
