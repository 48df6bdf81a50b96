"""Which prefix an address lies in, and which prefixes lie in one another."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from drcloud.cmdb.base import Document as Fields
from drcloud.cmdb.declared import fixed_width


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
