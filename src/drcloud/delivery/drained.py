"""What a host served when it was taken out of service, so that just this comes back, in a later run too.

It stands in the CMDB before a load balancer is told, by who took the host out: whoever is killed in between
can be told from a person who drained it, and goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from drcloud.cmdb import lookup
from drcloud.cmdb.store import Store
from drcloud.delivery.haproxy import Pool

# The attribute of a host that holds it.
MARK = "drained_by"


@dataclass(frozen=True, slots=True)
class Drained:
    """The pools that are to send the host requests again, each with whether it answered them there before."""

    owner: str
    pools: dict[str, bool]


def serving(seen: Mapping[str, Pool], servers: Sequence[str]) -> bool | None:
    """Tell whether a host answers for a pool at any load balancer; None where all of them drain it. Pure."""
    mine = [pool[name] for pool in seen.values() for name in servers]
    if any(server.in_service for server in mine):
        return True
    return False if any(server.admin == "ready" for server in mine) else None


def merged(kept: Drained | None, owner: str, now: Mapping[str, bool | None]) -> Drained:
    """Return what is to come back: what serves now, and what the same owner took out before. Pure."""
    there = {pool: serves for pool, serves in now.items() if serves is not None}
    before = kept.pools if kept is not None and kept.owner == owner else {}
    pools = sorted({*before, *there})
    return Drained(owner, {pool: there.get(pool, False) or before.get(pool, False) for pool in pools})


def read(store: Store, host: str) -> Drained | None:
    """Return what is kept of a host."""
    with store.read() as session:
        found = lookup.host(session, host).attrs.get(MARK)
    return Drained(**found) if found else None


def keep(store: Store, host: str, drained: Drained, ticket: str | None) -> None:
    """Write it down."""
    document = asdict(drained)
    if read(store, host) != drained:
        with store.write(reason=f"taken out of service by {drained.owner}", ticket=ticket) as session:
            row = lookup.host(session, host)
            row.attrs = {**row.attrs, MARK: document}


def forget(store: Store, host: str, ticket: str | None) -> None:
    """Forget it: the host is back in service."""
    kept = read(store, host)
    if kept is not None:
        with store.write(reason=f"back in service after {kept.owner}", ticket=ticket) as session:
            row = lookup.host(session, host)
            row.attrs = {name: value for name, value in row.attrs.items() if name != MARK}
