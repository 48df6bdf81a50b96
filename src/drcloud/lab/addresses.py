"""The lab's own network: each lab moves the declared prefix to a /24 that nobody else uses."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from drcloud.errors import InvalidInputError

Network = ipaddress.IPv4Network


def candidates(lab_id: str) -> Iterator[Network]:
    """Yield /24 networks between 10.64.0.0 and 10.127.255.0, always the same ones for one lab."""
    for attempt in range(64):
        digest = hashlib.sha256(f"{lab_id}/{attempt}".encode()).digest()
        yield Network(f"10.{64 + digest[0] % 64}.{digest[1]}.0/24")


def choose(lab_id: str, taken: Iterable[Network]) -> Network:
    """Return the first candidate of the lab that overlaps no network in use on this machine."""
    used = tuple(taken)
    for network in candidates(lab_id):
        if not any(network.overlaps(other) for other in used):
            return network
    raise InvalidInputError(
        f"no free /24 in 10.64.0.0/10 for the lab {lab_id}: take another lab down with `drcloud lab down`"
    )


def declared(document: dict[str, Any]) -> Network:
    """Return the /24 prefix of the lab's import file that all its other prefixes lie in."""
    declared = [ipaddress.ip_network(entry["cidr"]) for entry in document.get("prefixes", [])]
    prefixes = [prefix for prefix in declared if isinstance(prefix, Network)]
    widest = min(prefixes, key=lambda prefix: prefix.prefixlen, default=None)
    if widest is None or widest.prefixlen != 24 or not all(one.subnet_of(widest) for one in prefixes):
        raise InvalidInputError(
            "inventories/lab/idc.yml: the lab needs one /24 prefix, and all others inside of it"
        )
    return widest


def renumber(value: Any, old: Network, new: Network) -> Any:
    """Return a copy of a document in which each address and network of ``old`` moved to ``new``."""
    if isinstance(value, dict):
        return {key: renumber(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [renumber(item, old, new) for item in value]
    if isinstance(value, str):
        return _move(value, old, new)
    return value


def _move(text: str, old: Network, new: Network) -> str:
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError:
        return text
    if interface.ip not in old:
        return text
    moved = ipaddress.IPv4Address(int(interface.ip) - int(old.network_address) + int(new.network_address))
    return f"{moved}/{interface.network.prefixlen}" if "/" in text else str(moved)
