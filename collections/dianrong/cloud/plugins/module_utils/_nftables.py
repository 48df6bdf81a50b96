# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A firewall's plan as a table of nftables. All of it pure.

The table is our own. Other tables, Docker's chains in iptables-nft among them, are neither read nor written:
a packet has to pass all of them, so what this table drops no other lets in, and what it lets through the
others still judge.
"""

from __future__ import annotations

import re

from ansible_collections.dianrong.cloud.plugins.module_utils import _firewall

TABLE = "drcloud"
KINDS = {4: ("ip", "ipv4"), 6: ("ip6", "ipv6")}
MATCHES = {
    "ping": ("icmp type echo-request", "icmpv6 type echo-request"),
    "vrrp": ("meta l4proto vrrp",),
}
# libnftnl keeps 128 bytes of a comment, the final zero among them.
COMMENT = 127
# RFC 4890, 4.4.1: without these IPv6 does not work. Neighbour discovery and multicast listeners stay on
# their link.
NEEDED = (
    "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, "
    "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, "
    "mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report }"
)
LIMIT = "limit rate 10/minute burst 20 packets"

HEAD = f"""\
#!/usr/sbin/nft -f
# Written by drCloud (dianrong.cloud.firewall_zones): changes made here are lost.
# Replaces this table in one transaction and touches no other.
table inet {TABLE}
delete table inet {TABLE}
"""


def render(made):
    """Return the file that replaces the table by what is planned."""
    chains = chain_names(set(made.owners.values()))
    parts = [
        *_sets(made),
        _chain("input", _input(made)),
        _chain("forward", _forward(made)),
        _chain("zones", _zones(made, chains)),
        *(_chain(chain, _allowed(made, zone, made.allows[zone])) for zone, chain in chains.items()),
        _chain("containers", _allowed(made, "containers", made.containers.allows)),
    ]
    return f"{HEAD}table inet {TABLE} {{\n" + "\n".join(parts) + "}\n"


def restore(listed):
    """Return the file that puts back a table as it was listed."""
    return HEAD + listed


def chain_names(zones):
    """Return ``{zone's name: its chain}``, each chain once and in letters that nftables takes."""
    slugs = {name: re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] for name in zones}
    alone = {name: slug and list(slugs.values()).count(slug) == 1 for name, slug in slugs.items()}
    return {
        name: f"zone_{slugs[name]}" if alone[name] else f"zone_{slugs[name]}__{number}"
        for number, name in enumerate(sorted(zones), start=1)
    }


def _chain(name, lines):
    return "\n".join([f"    chain {name} {{", *(f"        {line}" for line in lines), "    }\n"])


def _comment(text):
    """Return a text as nftables takes it: printable, in quotes, at most 127 bytes, whole characters."""
    plain = "".join(char if char.isprintable() and char not in '"\\' else "?" for char in text)
    return '"' + plain.encode()[:COMMENT].decode(errors="ignore") + '"'


def _sets(made):
    """The ports of the services, one set for each protocol."""
    for service, name in _port_sets(made):
        protocol = name.rpartition("_")[2]
        elements = ", ".join(str(port) for port in getattr(made.services[service], protocol))
        yield (
            f"    set {name} {{\n        type inet_service\n        comment {_comment(service)}\n"
            f"        elements = {{ {elements} }}\n    }}\n"
        )


def _port_sets(made):
    """Yield ``(service, name of its set)`` for each protocol that a service has ports of."""
    for number, (service, ports) in enumerate(sorted(made.services.items()), start=1):
        slug = service if re.fullmatch(r"[a-z][a-z0-9_]*", service) else f"service_{number}"
        yield from (
            (service, f"{slug}_{protocol}") for protocol in ("tcp", "udp") if getattr(ports, protocol)
        )


def _allowed(made, subject, services):
    """Accept the packets of services: asked of the host itself, or of a container that publishes them."""
    sets = list(_port_sets(made))
    for service in services:
        comment = _comment(f"{subject}: {service}")
        # The port that the client asked for, whatever Docker made of it since.
        matches = MATCHES.get(service) or [
            f"meta l4proto {name.rpartition('_')[2]} ct original proto-dst @{name}"
            for owner, name in sets
            if owner == service
        ]
        yield from (f"{match} counter accept comment {comment}" for match in matches)


def _zones(made, chains):
    """Send a packet to the rules of the zone that it comes from, by the longest prefix."""
    for zone, prefixes in _firewall.steps(made.owners):
        yield f"{_address(prefixes, 'saddr')} counter goto {chains[zone]} comment {_comment(zone)}"


def _address(prefixes, side):
    """Return the match of addresses of one family."""
    word, kind = KINDS[prefixes[0].version]
    if prefixes[0].prefixlen == 0:
        return f"meta nfproto {kind}"
    return f"{word} {side} {{ {', '.join(str(prefix) for prefix in prefixes)} }}"


def _input(made):
    yield "type filter hook input priority filter; policy drop;"
    yield 'ct state established,related counter accept comment "answers"'
    yield 'iifname "lo" counter accept comment "the host itself"'
    # Docker turns route_localnet on, after which neighbours could reach what listens on the loopback only.
    yield 'ip daddr 127.0.0.0/8 counter drop comment "loopback from outside"'
    yield 'ct state invalid counter drop comment "invalid"'
    yield f'{NEEDED} counter accept comment "IPv6 needs it"'
    yield 'ip6 saddr fe80::/10 udp dport 546 counter accept comment "DHCPv6 answers"'
    yield 'ip protocol igmp counter accept comment "multicast groups"'
    yield from made.extra_rules
    yield from (f'iifname "{name}" jump containers' for name in made.containers.interfaces)
    yield "jump zones"
    yield 'meta pkttype { broadcast, multicast } counter drop comment "noise"'
    yield f'{LIMIT} log prefix "drcloud input drop: "'
    yield 'counter drop comment "everything else"'


def _forward(made):
    """Guard containers: what they publish, by zones; what they do not publish, from everybody outside."""
    inside = made.containers.interfaces
    yield "type filter hook forward priority filter - 5; policy accept;"
    yield 'ct state established,related counter accept comment "answers"'
    yield from (f'ct status dnat iifname "{name}" jump containers' for name in inside)
    yield "ct status dnat jump zones"
    yield f'ct status dnat {LIMIT} log prefix "drcloud publish drop: "'
    yield 'ct status dnat counter drop comment "published, but not for this zone"'
    yield from (f'iifname "{name}" counter accept comment "containers go out"' for name in inside)
    yield from (f'oifname "{name}" counter drop comment "not published"' for name in inside)
    for prefix in made.containers.networks:
        here = _address([prefix], "daddr")
        if prefix.version == 6:
            yield f'{here} {NEEDED} counter accept comment "IPv6 needs it"'
        yield from _uplink(made, here, prefix.version)
        yield f'{here} counter drop comment "apps not for this zone"'


def _uplink(made, here, version):
    """Containers with addresses of their own: for zones that may use apps, whatever the port."""
    for zone, prefixes in _firewall.steps(made.owners):
        if prefixes[0].version != version:
            continue
        match = f"{here} {_address(prefixes, 'saddr')}"
        comment = _comment(f"{zone}: apps with addresses of their own")
        if "apps" in made.allows[zone]:
            yield f"{match} counter accept comment {comment}"
            continue
        if "ping" in made.allows[zone]:
            yield f"{match} {_echo(version)} counter accept comment {_comment(f'{zone}: ping')}"
        yield f"{match} counter drop comment {comment}"


def _echo(version):
    return MATCHES["ping"][0 if version == 4 else 1]
