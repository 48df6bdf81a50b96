"""Allocation of numbers from pools: idempotent by owner, unique by constraint.

Units of work take turns (``drcloud.cmdb.changelog``), so what is free when one looks is still
free when it writes, and no two allocators can wait for each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from typing import NamedTuple, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb.declared import Allocation
from drcloud.errors import InvalidInputError

T = TypeVar("T")
PORTS = range(20000, 30000)
SLOTS = ("a", "b")
PORT_POOL = "ports:"
# As many values as both drivers take in one statement.
AT_ONCE = 10_000


class Claim(NamedTuple):
    """Who wants a number, and from which pool."""

    pool: str
    owner: str


class Slot(NamedTuple):
    """A slot of an app on a host, which a port belongs to."""

    host: str
    app: str
    env: str
    slot: str


def port_pool(host: str) -> str:
    """Return the pool of a host's ports."""
    return f"{PORT_POOL}{host}"


def port_owner(app: str, env: str, slot: str) -> str:
    """Return the owner key of a slot's port; the same on every host."""
    return f"{app}/{env}/{slot}"


def first_free(pool: str, used: Iterable[int], candidates: Iterable[int]) -> int:
    """Return the first candidate that is not used."""
    taken = used if isinstance(used, Set) else frozenset(used)
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    raise InvalidInputError(f"pool {pool} is exhausted: nothing is free of what may be allocated")


def first_gap(count: Callable[[int, int], int], first: int, last: int) -> int | None:
    """Return the smallest number from ``first`` to ``last`` that is not taken, None when all are.

    ``count(a, b)`` tells how many from a to b are taken. The database counts; nothing is loaded.
    """
    if first > last or count(first, last) > last - first:
        return None
    while first < last:
        middle = (first + last) // 2
        if count(first, middle) <= middle - first:
            last = middle
        else:
            first = middle + 1
    return first


def owned(session: Session, pool: str, owner: str) -> int | None:
    """Return the number that belongs to an owner, if there is one."""
    mine = select(Allocation.value).where(Allocation.pool == pool, Allocation.owner == owner)
    return session.scalars(mine).one_or_none()


def allocate(session: Session, pool: str, owner: str, candidates: Iterable[int]) -> int:
    """Return the number that belongs to the owner, allocating the first free candidate if none does."""
    return allocate_all(session, [Claim(pool, owner)], candidates)[Claim(pool, owner)]


def allocate_all(session: Session, claims: Iterable[Claim], candidates: Iterable[int]) -> dict[Claim, int]:
    """Return the numbers of many owners, allocating what is missing: one query for all pools.

    ``InvalidInputError`` names the pool in which nothing is free; then nothing is allocated.
    """
    given = choose(session, claims, candidates)
    session.add_all(
        Allocation(pool=claim.pool, owner=claim.owner, value=value)
        for claim, (value, known) in given.items()
        if not known
    )
    session.flush()
    return {claim: value for claim, (value, _) in given.items()}


def choose(
    session: Session, claims: Iterable[Claim], candidates: Iterable[int]
) -> dict[Claim, tuple[int, bool]]:
    """Return what ``allocate_all`` would give, and whether it belonged to the owner before; write nothing."""
    wanted = list(dict.fromkeys(claims))
    known, used = _pools(session, {claim.pool for claim in wanted})
    chosen = {}
    for claim in wanted:
        value = known.get(claim)
        if value is None:
            value = first_free(claim.pool, used[claim.pool], candidates)
            used[claim.pool].add(value)
        chosen[claim] = (value, claim in known)
    return chosen


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield values in lists that are short enough for one statement."""
    rest = iter(values)
    while part := list(islice(rest, AT_ONCE)):
        yield part


def free(session: Session, pool: str, owner: str) -> bool:
    """Give an allocation back; False when there was none."""
    found = select(Allocation).where(Allocation.pool == pool, Allocation.owner == owner)
    row = session.scalars(found).one_or_none()
    if row is not None:
        session.delete(row)
        session.flush()
    return row is not None


def _pools(session: Session, pools: Iterable[str]) -> tuple[dict[Claim, int], defaultdict[str, set[int]]]:
    """Return all allocations of pools by owner, and the numbers that are used in each."""
    known: dict[Claim, int] = {}
    used: defaultdict[str, set[int]] = defaultdict(set)
    columns = select(Allocation.pool, Allocation.owner, Allocation.value)
    for part in parts(pools):
        for pool, owner, value in session.execute(columns.where(Allocation.pool.in_(part))):
            known[Claim(pool, owner)] = value
            used[pool].add(value)
    return known, used
