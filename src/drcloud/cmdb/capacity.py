"""What a host has, what its apps were promised of it, and what is left. Pure: from facts and documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document

# Suffixes of a container's memory limit, as Docker reads them: powers of 1024.
UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}
# Block devices that are only views of others: told where the CMDB declares them.
NO_DISKS = ("loop", "dm-", "md")


@dataclass(frozen=True, slots=True)
class Claim:
    """What one instance of an app may use; ``memory`` in bytes, None is as much as it likes."""

    app: str
    env: str
    cpus: float | None
    memory: int | None

    @property
    def name(self) -> str:
        """The placement's natural key."""
        return f"{self.app}@{self.env}"


@dataclass(frozen=True, slots=True)
class Share:
    """One resource of a host: all of it, what is promised, what is left, and who has no limit.

    ``left`` is negative where more is promised than there is, and None where the host did not say what it
    has. ``roll`` is what one roll needs beside that for a time, for it starts the new before it ends the old.
    """

    total: float | None
    promised: float
    left: float | None
    roll: float
    unlimited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk: what the CMDB declares, or nothing, and what the host says of it; ``size`` in bytes."""

    declared: Document | None
    name: str | None
    size: int | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """Processors and memory (in bytes) of a host, and its disks."""

    cpus: Share
    memory: Share
    disks: tuple[Disk, ...]


def claim(app: str, env: str, spec: Mapping[str, Any]) -> Claim:
    """Return what a specification promises an instance in an environment."""
    resources = AppSpec.model_validate(spec).for_environment(env).resources
    return Claim(app, env, resources.cpus, bytes_of(resources.memory) if resources.memory else None)


def bytes_of(memory: str) -> int:
    """Return the bytes of a limit like ``512m``."""
    number, unit = (memory[:-1], memory[-1]) if memory[-1] in UNITS else (memory, "")
    return int(number) * UNITS.get(unit, 1)


def of(facts: Mapping[str, Any] | None, claims: Sequence[Claim], declared: Iterable[Document]) -> Capacity:
    """Return the capacity of a host of which ``facts`` may be unknown yet."""
    known = facts or {}
    cpus = (known.get("cpu") or {}).get("count")
    memory = (known.get("memory") or {}).get("total")
    return Capacity(
        cpus=_share(cpus, {one.name: one.cpus for one in claims}),
        memory=_share(memory, {one.name: one.memory for one in claims}),
        disks=_disks(tuple(declared), known.get("block_devices") or ()),
    )


def _share(total: float | None, wanted: Mapping[str, float | None]) -> Share:
    limits = [value for value in wanted.values() if value is not None]
    promised = sum(limits)
    return Share(
        total=total,
        promised=promised,
        left=None if total is None else total - promised,
        roll=max(limits, default=0),
        unlimited=tuple(name for name, value in wanted.items() if value is None),
    )


def _disks(declared: Sequence[Document], seen: Iterable[Mapping[str, Any]]) -> tuple[Disk, ...]:
    """Return the declared disks with what was seen of them, then those that nobody declared."""
    left = {one["name"]: one for one in seen}
    found = []
    for disk in declared:
        one = next((one for one in left.values() if _is(disk, one)), {})
        left.pop(one.get("name"), None)
        found.append(Disk(disk, one.get("name"), one.get("size"), one.get("model")))
    others = (one for name, one in left.items() if not name.startswith(NO_DISKS))
    return (*found, *(Disk(None, one["name"], one["size"], one.get("model")) for one in others))


def _is(declared: Document, seen: Mapping[str, Any]) -> bool:
    """Tell whether a disk that was seen is the declared one: by serial, else by WWN, else by its path."""
    for name in ("serial", "wwn"):
        if declared[name]:
            return bool(declared[name] == seen.get(name))
    return declared["path"] in (f"/dev/{seen['name']}", *seen.get("paths", ()))
