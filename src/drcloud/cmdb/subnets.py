"""Subnets that are carved from aggregates, each for an owner key, as ``dk-01/containers``.

Asking twice gives the same subnet, and another length another one. The prefix keeps others out of
its addresses, the allocation remembers whose it is. A subnet that was deleted by other means (an
import, ``cmdb_object``) ends the allocation: its owner gets the next one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from drcloud.cmdb import ipam
from drcloud.cmdb.declared import Address, Allocation, Prefix
from drcloud.cmdb.networks import OWNER, Network, name_of, same_vrf
from drcloud.errors import InvalidInputError

LENGTH = 24
PURPOSE = "containers"


def pool_of(aggregate: Prefix, length: int) -> str:
    """Return the pool of an aggregate's subnets of one length; its numbers count such subnets."""
    return f"subnets:{name_of(aggregate)}:{length}"


def find(session: Session, aggregate: Prefix, owners: Iterable[str], length: int) -> dict[str, Prefix]:
    """Return the subnets of an aggregate that belong to owners; who has none is left out."""
    whole = ipaddress.ip_network(aggregate.cidr)
    mine = select(Allocation.owner, Allocation.value).where(Allocation.pool == pool_of(aggregate, length))
    found = {}
    for part in ipam.parts(owners):
        known = session.execute(mine.where(Allocation.owner.in_(part))).all()
        cidrs = {str(_subnet(whole, length, number)): owner for owner, number in known}
        for row in session.scalars(select(Prefix).where(same_vrf(aggregate), Prefix.cidr.in_(cidrs))):
            if row.attrs.get(OWNER) == cidrs[row.cidr]:
                found[cidrs[row.cidr]] = row
    return found


def next_free(session: Session, aggregate: Prefix, length: int) -> Iterator[Network]:
    """Yield the free subnets of an aggregate, lowest first.

    ``InvalidInputError`` names a prefix that is no aggregate, and at the end the one that is exhausted.
    """
    whole = ipaddress.ip_network(aggregate.cidr)
    if not aggregate.aggregate:
        raise InvalidInputError(f"prefix {name_of(aggregate)} is no aggregate: subnets are carved from those")
    if not whole.prefixlen < length <= whole.max_prefixlen:
        raise InvalidInputError(f"prefix {name_of(aggregate)} has no subnets of length /{length}")
    for number in _gaps(session, aggregate, whole, length):
        yield _subnet(whole, length, number)
    raise InvalidInputError(
        f"prefix {name_of(aggregate)} is exhausted: no /{length} is free; "
        "free one, or declare another aggregate"
    )


def allocate(
    session: Session,
    aggregate: Prefix,
    owners: Iterable[str],
    *,
    length: int = LENGTH,
    purpose: str = PURPOSE,
) -> dict[str, Prefix]:
    """Return the subnets that belong to owners, carving the lowest free ones for those who have none.

    A new one takes IDC and firewall zone from its aggregate.
    """
    wanted = list(dict.fromkeys(owners))
    rows = find(session, aggregate, wanted, length)
    missing = [owner for owner in wanted if owner not in rows]
    # The names come first: no more subnets are looked for than are wanted.
    chosen = dict(zip(missing, next_free(session, aggregate, length), strict=False)) if missing else {}
    numbers = {owner: _number(aggregate, network) for owner, network in chosen.items()}
    _end(session, pool_of(aggregate, length), numbers)
    for owner, network in chosen.items():
        rows[owner] = Prefix(
            cidr=str(network),
            vrf=aggregate.vrf,
            idc=aggregate.idc,
            zone=aggregate.zone,
            purpose=purpose,
            attrs={OWNER: owner},
        )
        session.add(rows[owner])
        pool = pool_of(aggregate, length)
        session.add(Allocation(pool=pool, owner=owner, value=numbers[owner]))
    session.flush()
    return {owner: rows[owner] for owner in wanted}


def free(session: Session, aggregate: Prefix, owner: str, *, length: int = LENGTH) -> bool:
    """Give the subnet of an owner back; ``InvalidInputError`` while addresses of it are in use."""
    row = find(session, aggregate, [owner], length).get(owner)
    if row is not None:
        used = session.scalars(select(Address.address).where(Address.prefix_id == row.id).limit(1)).first()
        if used is not None:
            raise InvalidInputError(f"prefix {name_of(row)} is not freed: {used} of it is still in use")
        session.delete(row)
    return ipam.free(session, pool_of(aggregate, length), owner)


def _end(session: Session, pool: str, numbers: dict[str, int]) -> None:
    """Remove the allocations of which the subnets are gone, where they are in the way."""
    if not numbers:
        return
    for part in ipam.parts(numbers):
        ended = or_(Allocation.owner.in_(part), Allocation.value.in_([numbers[owner] for owner in part]))
        for row in session.scalars(select(Allocation).where(Allocation.pool == pool, ended)):
            session.delete(row)
    session.flush()


def _gaps(session: Session, aggregate: Prefix, whole: Network, length: int) -> Iterator[int]:
    """Yield the numbers of the subnets that nothing lies in, in order; what lies inside is read once."""
    size = 1 << (whole.max_prefixlen - length)
    start = int(whole.network_address)
    inside = select(Prefix.first, Prefix.last).where(
        same_vrf(aggregate), Prefix.first.between(aggregate.first, aggregate.last), Prefix.id != aggregate.id
    )
    bounds = session.execute(inside.where(Prefix.last <= aggregate.last).order_by(Prefix.first)).all()
    number = 0
    for first, last in bounds:
        yield from range(number, (_number_of(first) - start) // size)
        number = max(number, (_number_of(last) - start) // size + 1)
    yield from range(number, whole.num_addresses // size)


def _number_of(value: str) -> int:
    """Return the number of an address in the CMDB's fixed-width form."""
    return int(value.partition(":")[2], 16)


def _subnet(whole: Network, length: int, number: int) -> Network:
    return ipaddress.ip_network(f"{whole[number << (whole.max_prefixlen - length)]}/{length}")


def _number(aggregate: Prefix, subnet: Network) -> int:
    start = int(ipaddress.ip_network(aggregate.cidr).network_address)
    return (int(subnet.network_address) - start) // subnet.num_addresses
