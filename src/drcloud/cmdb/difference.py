"""What changed in an inventory between two times: hosts, groups, variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Hosts = Mapping[str, Mapping[str, Any]]
Members = Mapping[str, set[str]]
MISSING = object()


@dataclass(frozen=True, slots=True)
class HostChange:
    """What changed on a host that both inventories have; a variable that is not there is None."""

    host: str
    joined: list[str]
    left: list[str]
    variables: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one inventory has and the other has not."""

    added: list[str]
    removed: list[str]
    changed: list[HostChange]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``."""
        return asdict(self)


def compare(old: tuple[Hosts, Members], new: tuple[Hosts, Members]) -> Difference:
    """Return the difference between two inventories, each its hosts' variables and groups."""
    (hosts, groups), (new_hosts, new_groups) = old, new
    return Difference(
        added=sorted(new_hosts.keys() - hosts.keys()),
        removed=sorted(hosts.keys() - new_hosts.keys()),
        changed=[
            change
            for host in sorted(hosts.keys() & new_hosts.keys())
            if (change := _change(host, hosts[host], new_hosts[host], groups[host], new_groups[host]))
        ],
    )


def _change(
    host: str, old: Mapping[str, Any], new: Mapping[str, Any], groups: set[str], new_groups: set[str]
) -> HostChange | None:
    if old == new and groups == new_groups:
        return None
    variables = {
        name: {"before": old.get(name), "after": new.get(name)}
        for name in sorted(old.keys() | new.keys())
        if old.get(name, MISSING) != new.get(name, MISSING)
    }
    return HostChange(host, sorted(new_groups - groups), sorted(groups - new_groups), variables)
