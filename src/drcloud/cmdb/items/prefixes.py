"""Which prefix an address lies in, and which prefixes lie in one another."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import fixed_width

# The longest prefix in which two addresses serve no host.
POINT_TO_POINT = 30


class PrefixTable:
    """The prefixes of all VRFs, by natural key: which contains an address, which lie in one another."""

    def __init__(self, prefixes: Mapping[str, Fields]) -> None:
        nested: dict[str | None, list[_Known]] = defaultdict(list)
        for key, fields in prefixes.items():
            nested[fields.get("vrf")].append(_known(key, fields))
        self._of = {
            vrf: sorted(known, key=lambda one: (one.first, -one.length)) for vrf, known in nested.items()
        }

    def find(self, address: str, vrf: str | None = None) -> str | None:
        """Return the prefix an address lies in, if any: the most specific one that is no aggregate."""
        value = fixed_width(ipaddress.ip_address(address))
        known = self._of.get(vrf, [])
        # Nothing begins inside of a prefix that is no aggregate, so it is the last that begins before.
        before = bisect_right(known, value, key=lambda one: one.first)
        last = known[before - 1] if before else None
        return last.key if last and not last.aggregate and last.last >= value else None

    def overlaps(self) -> Iterator[tuple[str, str]]:
        """Yield the pairs of which the first contains the second and is no aggregate."""
        for known in self._of.values():
            leaf: _Known | None = None
            for one in known:
                if leaf is not None and one.first <= leaf.last:
                    yield leaf.key, one.key
                elif not one.aggregate:
                    leaf = one


def bound(address: str, prefix: str, prefixes: Mapping[str, Fields]) -> str | None:
    """Return the words for an address that no host can have, the first or the last one of an IPv4 network.

    ``address`` is written as the CMDB keeps it, ``prefix`` is the key of the one it lies in. A prefix of /31
    or /32 has no such address (RFC 3021). One with a VLAN is a network; without, it may be a slice of the
    aggregate around it, as hosts of one zone are, and only what bounds all of these too is out of use.
    """
    mine = prefixes[prefix]
    words = _bounds(mine["cidr"]).get(address)
    if words is None or mine.get("vlan"):
        return words
    value = ipaddress.ip_address(address)
    others = (one["cidr"] for one in prefixes.values() if one.get("vrf") == mine.get("vrf"))
    around = (cidr for cidr in others if value in ipaddress.ip_network(cidr))
    return words if all(_bounds(cidr).get(address) == words for cidr in around) else None


@lru_cache(maxsize=4096)
def _bounds(prefix: str) -> dict[str, str]:
    network = ipaddress.ip_network(prefix)
    if network.version != 4 or network.prefixlen > POINT_TO_POINT:
        return {}
    return {str(network[0]): "the network address", str(network[-1]): "the broadcast address"}


class _Known(NamedTuple):
    """A prefix as its bounds; ``length`` is how many addresses it has."""

    first: str
    last: str
    length: int
    key: str
    aggregate: bool


def _known(key: str, fields: Fields) -> _Known:
    network = ipaddress.ip_network(fields["cidr"])
    first, last = fixed_width(network.network_address), fixed_width(network.broadcast_address)
    return _Known(first, last, network.num_addresses, key, bool(fields.get("aggregate")))
