"""Allocation of numbers from pools: idempotent by owner, unique by constraint.

Units of work take turns (``drcloud.cmdb.changelog``), so what is free when one looks is still
free when it writes, and no two allocators can wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb.declared import Allocation
from drcloud.errors import InvalidInputError

PORTS = range(20000, 30000)
SLOTS = ("a", "b")


def port_pool(host: str) -> str:
    """Return the pool of a host's ports."""
    return f"ports:{host}"


def port_owner(app: str, env: str, slot: str) -> str:
    """Return the owner key of a slot's port; the same on every host."""
    return f"{app}/{env}/{slot}"


def first_free(pool: str, used: Iterable[int], candidates: Iterable[int]) -> int:
    """Return the first candidate that is not used."""
    taken = frozenset(used)
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    raise InvalidInputError(f"pool {pool} is exhausted: nothing is free of what may be allocated")


def allocate(session: Session, pool: str, owner: str, candidates: Iterable[int]) -> int:
    """Return the number that belongs to the owner, allocating the first free candidate if none does."""
    mine = select(Allocation.value).where(Allocation.pool == pool, Allocation.owner == owner)
    if (known := session.scalars(mine).one_or_none()) is not None:
        return known
    used = session.scalars(select(Allocation.value).where(Allocation.pool == pool))
    value = first_free(pool, used, candidates)
    session.add(Allocation(pool=pool, owner=owner, value=value))
    session.flush()
    return value


def free(session: Session, pool: str, owner: str) -> None:
    """Give an allocation back; nothing happens when there is none."""
    found = select(Allocation).where(Allocation.pool == pool, Allocation.owner == owner)
    for row in session.scalars(found):
        session.delete(row)
    session.flush()
