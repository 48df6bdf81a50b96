"""Addresses that are allocated in prefixes, each to an owner key, as ``dk-01/bmc`` (host + purpose).

Asking twice gives the same address. The row of the address keeps others away from it, the
allocation remembers whose it is. An address that was deleted or given to somebody else by other
means (an import, ``cmdb_object``) ends the allocation: its owner gets another one.
"""

from __future__ import annotations

import ipaddress

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from drcloud.cmdb import ipam, networks
from drcloud.cmdb.declared import Address, Allocation, Host, Prefix
from drcloud.cmdb.networks import OWNER, name_of
from drcloud.errors import InvalidInputError


def pool_of(prefix: Prefix) -> str:
    """Return the pool of a prefix's allocated addresses; its numbers count from the first address."""
    return f"addresses:{name_of(prefix)}"


def find(session: Session, prefix: Prefix, owner: str) -> Address | None:
    """Return the address of a prefix that belongs to an owner, if there is one."""
    number = ipam.owned(session, pool_of(prefix), owner)
    if number is None:
        return None
    text = str(ipaddress.ip_network(prefix.cidr)[number])
    here = select(Address).where(Address.prefix_id == prefix.id, Address.address == text)
    row = session.scalars(here).one_or_none()
    return row if row is not None and row.attrs.get(OWNER) == owner else None


def next_free(session: Session, prefix: Prefix) -> str:
    """Return the lowest address of a prefix that is free; network and broadcast address are never given.

    ``InvalidInputError`` names a prefix that is full, or an aggregate.
    """
    if prefix.aggregate:
        raise InvalidInputError(
            f"prefix {name_of(prefix)} is an aggregate: allocate addresses in a prefix inside of it"
        )
    network = ipaddress.ip_network(prefix.cidr)
    first, last = networks.usable(network)
    value = ipam.first_gap(lambda a, b: networks.count_addresses(session, prefix, a, b), first, last)
    if value is None:
        raise InvalidInputError(
            f"prefix {name_of(prefix)} is exhausted: all {last - first + 1} addresses are used; "
            "free some, or declare another prefix"
        )
    return str(network[value - int(network.network_address)])


def allocate(
    session: Session, prefix: Prefix, owner: str, *, purpose: str, host: Host | None = None
) -> Address:
    """Return the address of a prefix that belongs to the owner, allocating the lowest free one if none does.

    ``purpose`` and ``host`` are those of a new address; one that exists stays as it is.
    """
    if (known := find(session, prefix, owner)) is not None:
        return known
    text = next_free(session, prefix)
    number = int(ipaddress.ip_address(text)) - int(ipaddress.ip_network(prefix.cidr).network_address)
    pool = pool_of(prefix)
    ended = or_(Allocation.owner == owner, Allocation.value == number)
    for stale in session.scalars(select(Allocation).where(Allocation.pool == pool, ended)):
        session.delete(stale)
    session.flush()
    row = Address(
        address=text, prefix=prefix, vrf=prefix.vrf, purpose=purpose, host=host, attrs={OWNER: owner}
    )
    session.add_all([row, Allocation(pool=pool, owner=owner, value=number)])
    session.flush()
    return row


def free(session: Session, prefix: Prefix, owner: str) -> bool:
    """Give the address of an owner back; False when it has none."""
    if (row := find(session, prefix, owner)) is not None:
        session.delete(row)
    return ipam.free(session, pool_of(prefix), owner)
