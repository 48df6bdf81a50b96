"""Prefixes as a tree: the parent of a prefix is the smallest one around it in its VRF.

It follows from the bounds and is stored nowhere.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from drcloud.cmdb.declared import Address, Prefix, Vrf
from drcloud.cmdb.declared.columns import fixed_width
from drcloud.cmdb.lookup import meant
from drcloud.errors import NotFoundError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
NETWORK_AND_BROADCAST = 2
# The attribute of an allocated address or subnet that says whose it is.
OWNER = "owner"


class Usage(NamedTuple):
    """How full a prefix is: addresses of an ordinary one, of an aggregate what its prefixes cover."""

    parent: str | None
    children: tuple[str, ...]
    size: int
    used: int

    @property
    def free(self) -> int:
        """How many addresses may still be allocated, or given to prefixes."""
        return self.size - self.used


def find(session: Session, name: str) -> Prefix:
    """Return the prefix of a name, ``CIDR`` or ``CIDR@VRF``."""
    cidr, _, vrf = name.partition("@")
    query = select(Prefix).outerjoin(Vrf).where(Prefix.cidr == _spelled(cidr))
    row = session.scalars(query.where(Vrf.name == vrf if vrf else Prefix.vrf_id.is_(None))).one_or_none()
    if row is None:
        known = [_name(*found) for found in session.execute(select(Prefix.cidr, Vrf.name).outerjoin(Vrf))]
        hint = meant(name, known) or "`drcloud cmdb show prefix` lists what is known"
        raise NotFoundError(f"there is no prefix {name!r} in the CMDB: {hint}")
    return row


def name_of(prefix: Prefix) -> str:
    """Return the natural key of a prefix."""
    return _name(prefix.cidr, prefix.vrf.name if prefix.vrf else None)


def parent(session: Session, prefix: Prefix) -> Prefix | None:
    """Return the smallest prefix around another one, in the same VRF."""
    around = select(Prefix).where(
        same_vrf(prefix), Prefix.first <= prefix.first, Prefix.last >= prefix.last, Prefix.id != prefix.id
    )
    # Prefixes nest, so the one that begins last and ends first is the smallest.
    return session.scalars(around.order_by(Prefix.first.desc(), Prefix.last).limit(1)).one_or_none()


def children(session: Session, prefix: Prefix) -> list[Prefix]:
    """Return the prefixes right inside another one, by address."""
    inside = select(Prefix).where(
        same_vrf(prefix), Prefix.first.between(prefix.first, prefix.last), Prefix.last <= prefix.last
    )
    found: list[Prefix] = []
    for row in session.scalars(
        inside.where(Prefix.id != prefix.id).order_by(Prefix.first, Prefix.last.desc())
    ):
        if not found or row.first > found[-1].last:
            found.append(row)
    return found


def usage(session: Session, prefix: Prefix) -> Usage:
    """Return how full a prefix is, and its place in the tree."""
    above, inside = parent(session, prefix), children(session, prefix)
    network = ipaddress.ip_network(prefix.cidr)
    if prefix.aggregate:
        size = network.num_addresses
        used = sum(ipaddress.ip_network(child.cidr).num_addresses for child in inside)
    else:
        first, last = usable(network)
        size = last - first + 1
        used = count_addresses(session, prefix, first, last)
    return Usage(name_of(above) if above else None, tuple(name_of(child) for child in inside), size, used)


def usable(network: Network) -> tuple[int, int]:
    """Return the first and the last address that a host may have."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4 and network.num_addresses > NETWORK_AND_BROADCAST:
        return first + 1, last - 1
    return first, last


def count_addresses(session: Session, prefix: Prefix, first: int, last: int) -> int:
    """Return how many addresses from one number to another are in use in the VRF of a prefix."""
    lower, upper = fixed_width(_parsed(prefix, first)), fixed_width(_parsed(prefix, last))
    vrf = Address.vrf_id.is_(None) if prefix.vrf_id is None else Address.vrf_id == prefix.vrf_id
    counted = select(func.count()).select_from(Address).where(vrf, Address.value.between(lower, upper))
    return session.scalars(counted).one()


def _parsed(prefix: Prefix, number: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    kind = ipaddress.IPv6Address if ":" in prefix.cidr else ipaddress.IPv4Address
    return kind(number)


def same_vrf(prefix: Prefix) -> ColumnElement[bool]:
    """Return the condition that prefixes are in the VRF of another one."""
    return Prefix.vrf_id.is_(None) if prefix.vrf_id is None else Prefix.vrf_id == prefix.vrf_id


def _spelled(cidr: str) -> str:
    """Return a prefix in the notation of the CMDB; what is none stays as it is, and is not found."""
    try:
        return str(ipaddress.ip_network(cidr))
    except ValueError:
        return cidr


def _name(cidr: str, vrf: str | None) -> str:
    return f"{cidr}@{vrf}" if vrf else cidr
