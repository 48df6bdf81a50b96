# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's firewall says: from zones and services to one plan. All of it pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

# Services that are no port: always what their name says.
PORTLESS = ("ping", "vrrp")
PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp))?")
INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}\*?")


class FirewallError(Exception):
    """Zones or services make no firewall; the message names which and why."""


@dataclass(frozen=True)
class Ports:
    """The ports behind a service, by protocol."""

    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()


@dataclass(frozen=True)
class Containers:
    """Where containers are, and what those of this host may use of it."""

    # Interfaces of networks behind NAT; ``br-*`` stands for all that begin so.
    interfaces: tuple[str, ...] = ()
    # Networks of containers that stand on uplink bridges with addresses of their own.
    networks: tuple[object, ...] = ()
    allows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What the table says."""

    # {prefix: zone's name} and {zone's name: services}
    owners: dict[object, str]
    allows: dict[str, tuple[str, ...]]
    # What the services are on this host.
    services: dict[str, Ports]
    containers: Containers
    extra_rules: tuple[str, ...] = ()


def plan(zones, services, address, bridges=(), interfaces=(), container_services=(), extra_rules=()):
    """Return what the table of a host says; pure.

    Args:
        zones: ``[{name, prefixes, allows}]``.
        services: ``{name: [port or "port/udp"]}``: what a service is on this host; an empty list when it
            is not here.
        address: the host's own; its zone says what its containers may use, for elsewhere they appear as
            their host.
        bridges: ``[{name, mode, containers}]`` as the CMDB declares them.
        interfaces: those of containers, ``br-*`` for all that begin so.
        container_services: what containers of this host may use of it at most.
        extra_rules: lines of nftables that come before the zones.

    Raises:
        FirewallError: a zone, a service or a bridge that makes no sense.
    """
    known = {name: ports(name, values) for name, values in services.items()}
    for zone in zones:
        for service in zone["allows"]:
            if service not in known and service not in PORTLESS:
                raise FirewallError(
                    f"zone {zone['name']} allows {service!r}, which is no service; "
                    f"known are {', '.join(sorted([*known, *PORTLESS]))}"
                )
    owners = networks(zones)
    allows = {zone["name"]: tuple(sorted(set(zone["allows"]))) for zone in zones}
    home = allows.get(zone_of(owners, address), ())
    inside = tuple(name for name in home if name in container_services)
    containers = Containers(_interfaces(bridges, interfaces), _uplinks(bridges), inside)
    return Plan(owners, allows, known, containers, tuple(extra_rules))


def networks(zones):
    """Return ``{prefix: zone's name}``.

    Raises:
        FirewallError: a prefix is none, or stands in two zones.
    """
    found = {}
    for zone in zones:
        for text in zone["prefixes"]:
            try:
                prefix = ipaddress.ip_network(text)
            except ValueError as error:
                raise FirewallError(f"zone {zone['name']}: prefix {text}: {error}") from error
            if found.setdefault(prefix, zone["name"]) != zone["name"]:
                raise FirewallError(
                    f"prefix {prefix} is in the zones {found[prefix]} and {zone['name']}; "
                    "an address can be in one zone only"
                )
    return found


def steps(owners):
    """Return ``[(zone's name, networks)]`` so ordered that the first match is the longest prefix.

    Networks of one zone and family stand together unless one of another zone has to come between.
    """
    levels = {}
    grouped = {}
    # From the longest prefix on: whatever lies within a prefix has raised it before its turn comes.
    for prefix in sorted(owners, key=lambda net: (-net.prefixlen, net.version, net)):
        level = levels.get(prefix, 0)
        grouped.setdefault((level, owners[prefix], prefix.version), []).append(prefix)
        for length in range(prefix.prefixlen):
            around = prefix.supernet(new_prefix=length)
            if owners.get(around, owners[prefix]) != owners[prefix]:
                levels[around] = max(levels.get(around, 0), level + 1)
    return [(key[1], tuple(ipaddress.collapse_addresses(grouped[key]))) for key in sorted(grouped)]


def zone_of(owners, address):
    """Return the name of the zone that an address is in, by the longest prefix, or None."""
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError as error:
        raise FirewallError(f"address {address!r}: {error}") from error
    wanted = getattr(wanted, "ipv4_mapped", None) or wanted
    around = [prefix for prefix in owners if wanted in prefix]
    return owners[max(around, key=lambda prefix: prefix.prefixlen)] if around else None


def ports(name, values):
    """Return the ports of a service from numbers and texts such as ``53/udp``.

    Raises:
        FirewallError: one of them is no port, or the service is one that has none.
    """
    if name in PORTLESS:
        raise FirewallError(f"service {name} has no ports; it is always what its name says")
    found = {"tcp": set(), "udp": set()}
    for value in values:
        match = PORT.fullmatch(str(value))
        if not match or not 0 < int(match[1]) < 65536:
            raise FirewallError(f"service {name}: {value!r} is no port; expected 1 to 65535, or PORT/udp")
        found[match[2] or "tcp"].add(int(match[1]))
    return Ports(tuple(sorted(found["tcp"])), tuple(sorted(found["udp"])))


def objection(made, address, port):
    """Return why the table would not let an address in at a TCP port, or None when it would."""
    zone = zone_of(made.owners, address)
    if zone is None:
        return f"{address}, where this connection comes from, is in no zone"
    allowed = made.allows[zone]
    if any(port in made.services.get(name, Ports()).tcp for name in allowed):
        return None
    return (
        f"{address}, where this connection comes from, is in zone {zone}, which allows "
        f"{', '.join(allowed) or 'nothing'} and so not TCP port {port}"
    )


def _interfaces(bridges, interfaces):
    """Return the interfaces of containers behind NAT, and make sure that no uplink is taken for one."""
    for bridge in bridges:
        if bridge.get("mode") not in ("nat", "uplink") or not bridge.get("name"):
            raise FirewallError(f"bridge {bridge}: expected a name, and mode nat or uplink")
    inside = [*interfaces, *(bridge["name"] for bridge in bridges if bridge["mode"] == "nat")]
    for name in inside:
        if not INTERFACE.fullmatch(name):
            raise FirewallError(f"interface {name!r}: expected a name, or the beginning of one and a star")
    for bridge in bridges:
        pattern = next((name for name in inside if _covers(name, bridge["name"])), None)
        if bridge["mode"] == "uplink" and pattern:
            raise FirewallError(
                f"bridge {bridge['name']} is an uplink, but {pattern} counts it among the bridges of "
                "containers; give it another name"
            )
    return tuple(dict.fromkeys(inside))


def _covers(pattern, name):
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _uplinks(bridges):
    uplinks = [bridge for bridge in bridges if bridge["mode"] == "uplink"]
    declared = [bridge.get(key) for bridge in uplinks for key in ("containers", "ipv6")]
    try:
        found = [ipaddress.ip_network(text) for text in declared if text]
    except ValueError as error:
        raise FirewallError(f"network of containers on an uplink: {error}") from error
    return tuple(
        net
        for version in (4, 6)
        for net in ipaddress.collapse_addresses(net for net in found if net.version == version)
    )
