"""Groups of an inventory, and the rule that puts each host into them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from drcloud.cmdb import paths
from drcloud.cmdb.paths import Path
from drcloud.errors import InvalidInputError

# ansible-core's rule for group names; letters of any script are letters.
NOT_IN_GROUP_NAMES = re.compile(r"\W")


class Joined(NamedTuple):
    """That a rule puts hosts into a group; ``value`` is what they have in common."""

    group: str
    rule: str
    value: str
    hosts: list[str]


@dataclass(slots=True)
class Groups:
    """Groups by name: their direct members and their child groups, in a stable order."""

    members: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    children: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    joined: list[Joined] = field(default_factory=list)
    _sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def name(self, *source: str) -> str:
        """Return the group's name for its parts; two different sources never share a name."""
        name = NOT_IN_GROUP_NAMES.sub("_", "_".join(source))
        other = self._sources.setdefault(name, source)
        if other != source:
            raise InvalidInputError(
                f"{_said(other)} and {_said(source)} would both be the inventory group {name}: "
                "rename one of them in the CMDB"
            )
        return name

    def join(self, group: str, hosts: list[str], rule: str, value: str) -> None:
        """Put hosts into a group by a rule; who is there already stays once."""
        present = self.members.get(group)
        if present is None:
            self.members[group] = list(hosts)
        else:
            known = set(present)
            present += [host for host in hosts if host not in known]
        self.joined.append(Joined(group, rule, value, hosts))

    def nest(self, parent: str, child: str) -> None:
        """Make a group a child of another."""
        self.children[parent][child] = None

    def nest_all(self, line: Sequence[str]) -> None:
        """Make each group of a line a child of the one before, and only of that one of the line."""
        for depth, group in enumerate(line):
            for parent in line[: max(depth - 1, 0)]:
                self.children[parent].pop(group, None)
        for parent, child in pairwise(line):
            if parent != child:
                self.nest(parent, child)


def by_path(
    groups: Groups, rule: str, levels: tuple[Path, ...], hosts: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Group hosts by the values at paths, each level inside the one before; False where none has any.

    A host without a value for a level stays in the group of the level above.
    """
    buckets: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, variables in hosts.items():
        for values in _deepest(variables, levels, name):
            buckets[values].append(name)
    for values, members in sorted(buckets.items()):
        line = [groups.name(*_parts(levels, values[: depth + 1])) for depth in range(len(values))]
        groups.nest_all(line)
        groups.join(line[-1], members, rule, "/".join(_parts(levels, values)[1:]))
    return bool(buckets)


def _deepest(variables: Mapping[str, Any], levels: tuple[Path, ...], host: str) -> Iterator[tuple[str, ...]]:
    """Yield the values of a host from the outermost level to the deepest that it has."""
    found: list[tuple[str, ...]] = [()]
    for path in levels:
        values = dict.fromkeys(_word(value, path, host) for value in paths.read(variables, path))
        if not values:
            break
        found = [(*line, value) for line in found for value in values]
    yield from (line for line in found if line)


def _word(value: Any, path: Path, host: str) -> str:
    if isinstance(value, bool | int | float | str):
        return str(value)
    raise InvalidInputError(
        f"option group_by: {'.'.join(path)} of host {host} is a mapping; name one of its fields"
    )


def _parts(levels: tuple[Path, ...], values: tuple[str, ...]) -> tuple[str, ...]:
    """Return what names the group of some values; a rack's path says already where it stands."""
    if levels[len(values) - 1] == ("dr_rack",):
        return ("rack", *values[-1].split("/"))
    return (paths.label(levels[len(values) - 1]), *values)


def names(groups: Groups) -> Iterator[str]:
    """Yield the name of each group once, parents first."""
    yield from dict.fromkeys([*groups.children, *groups.members])


def parents(groups: Groups) -> dict[str, list[str]]:
    """Return the groups directly above each group."""
    found: dict[str, list[str]] = defaultdict(list)
    for parent, children in groups.children.items():
        for child in children:
            found[child].append(parent)
    return found


def above(group: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all groups above a group."""
    found: set[str] = set()
    left = [group]
    while left:
        for parent in direct.get(left.pop(), ()):
            if parent not in found:
                found.add(parent)
                left.append(parent)
    return found


def groups_by_host(groups: Groups) -> dict[str, set[str]]:
    """Return the groups of each host, those above its own included."""
    direct = parents(groups)
    found: dict[str, set[str]] = defaultdict(set)
    for name, members in groups.members.items():
        line = {name, *above(name, direct)}
        for member in members:
            found[member] |= line
    return found


def _said(source: tuple[str, ...]) -> str:
    kind, *parts = source
    if kind == "app" and len(parts) > 1:
        return f"the placement of app {parts[0]!r} in environment {parts[1]!r}"
    noun = {"env": "environment", "idc": "IDC"}.get(kind, kind)
    return f"{noun} {'/'.join(parts)!r}"
