# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's network links, addresses and routes, as ``ip -json`` tells them."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass

DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
# Made by the kernel, a router's advertisement or a redirect: they come again by themselves.
PASSING = ("kernel", "ra", "redirect")
# Set by people and their scripts. Any other protocol is a program's that watches its routes.
LASTING = ("boot", "static")
# What iproute2 shows of a route beyond the words of a Route.
PARTICULARS = ("via", "metrics", "encap", "tos", "from", "expires")
NETWORKD = "/run/systemd/netif/links"
NETWORK_MANAGER = "/run/NetworkManager/devices"


class LinkError(Exception):
    """The host's network cannot be read; the message says what failed."""


@dataclass(frozen=True)
class Link:
    """One interface. The limits of the MTU are in bytes; None where its driver tells none."""

    name: str
    index: int
    kind: str
    master: str | None
    mac: str
    mtu: int
    lowest_mtu: int | None
    highest_mtu: int | None


@dataclass(frozen=True)
class Address:
    """An address of an interface, with its network; ``dynamic`` came by DHCP or a router and expires."""

    link: str
    value: str
    dynamic: bool

    @property
    def interface(self):
        """The address as ``ipaddress`` has it."""
        return ipaddress.ip_interface(self.value)


@dataclass(frozen=True)
class Route:
    """A route of one hop. ``table`` and ``protocol`` are the kernel's names."""

    to: str
    link: str
    via: str | None = None
    source: str | None = None
    metric: int | None = None
    table: str = "main"
    protocol: str = "boot"
    hops: int = 1

    @property
    def network(self):
        """Where the route leads."""
        return ipaddress.ip_network(self.to, strict=False)


@dataclass(frozen=True)
class Oddity:
    """An address or a route with something that the others here have no word for; ``what`` says it."""

    link: str
    what: str


@dataclass(frozen=True)
class Links:
    """All of a host's network that a plan looks at."""

    links: dict[str, Link]
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    odd: tuple[Oddity, ...] = ()

    def of(self, name):
        """Return the lasting addresses of an interface that are not its own link-local ones."""
        return tuple(one for one in self.addresses if one.link == name and not one.interface.ip.is_link_local)


def read(run):
    """Read the host's network; ``run`` takes an argument list and returns exit code, output, errors."""
    return parse(
        _ip(run, "-details", "address", "show"),
        _ip(run, "-4", "route", "show", "table", "all"),
        _ip(run, "-6", "route", "show", "table", "all"),
    )


def parse(shown, routes, routes6):
    """Return what three lists of ``ip -json`` say: of addresses, and of routes of either family."""
    links = {entry["ifname"]: _link(entry) for entry in shown if entry}
    addresses = [
        Address(
            entry["ifname"],
            f"{one['local']}/{one['prefixlen']}",
            bool(one.get("dynamic") or one.get("temporary")),
        )
        for entry in shown
        for one in entry.get("addr_info", [])
        if one.get("local")
    ]
    found = [
        one
        for family, listed in ((4, routes), (6, routes6))
        for entry in listed
        for one in _hops(entry, family)
    ]
    odd = [*_odd_addresses(shown), *_odd_routes([*routes, *routes6])]
    return Links(links, tuple(addresses), tuple(found), tuple(odd))


def manager(link):
    """Return what manages an interface: C(networkd), C(NetworkManager), or C(plain) where nothing watches it.

    ifupdown configures an interface once and lets go of it: that is plain.
    """
    text = _text(os.path.join(NETWORKD, str(link.index)))
    if "ADMIN_STATE=" in text and "ADMIN_STATE=unmanaged" not in text:
        return "networkd"
    if "managed=true" in _text(os.path.join(NETWORK_MANAGER, str(link.index))):
        return "NetworkManager"
    return "plain"


def _ip(run, *arguments):
    code, output, errors = run(["ip", "-json", *arguments])
    if code:
        raise LinkError(f"ip {' '.join(arguments)} failed: {(errors or output).strip()}")
    return json.loads(output or "[]")


def _link(entry):
    return Link(
        name=entry["ifname"],
        index=entry["ifindex"],
        kind=entry.get("linkinfo", {}).get("info_kind") or entry.get("link_type", ""),
        master=entry.get("master"),
        mac=entry.get("address", ""),
        mtu=entry["mtu"],
        # The kernel says 0 where a driver gives no limit.
        lowest_mtu=entry.get("min_mtu") or None,
        highest_mtu=entry.get("max_mtu") or None,
    )


def _hops(entry, family):
    """Yield a route once for each interface it uses; what leads nowhere is no route here."""
    if entry.get("type", "unicast") != "unicast":
        return
    to = DEFAULT[family] if entry["dst"] == "default" else entry["dst"]
    hops = entry.get("nexthops") or [entry]
    for hop in hops:
        if hop.get("dev"):
            yield Route(
                to=to,
                link=hop["dev"],
                via=hop.get("gateway"),
                source=entry.get("prefsrc"),
                metric=entry.get("metric"),
                table=entry.get("table", "main"),
                protocol=entry.get("protocol", "boot"),
                hops=len(hops),
            )


def _odd_addresses(shown):
    """Yield the addresses of a point-to-point link: the route to the peer comes and goes with them."""
    for entry in shown:
        for one in entry.get("addr_info", []):
            if one.get("local") and one.get("address"):
                what = f"the address {one['local']}/{one['prefixlen']} with the peer {one['address']}"
                yield Oddity(entry["ifname"], what)


def _odd_routes(listed):
    """Yield the lasting routes that a Route cannot say, or that are another program's."""
    for entry in listed:
        protocol = entry.get("protocol", "boot")
        if entry.get("type", "unicast") != "unicast" or protocol in PASSING:
            continue
        for hop in entry.get("nexthops") or [entry]:
            words = [flag for flag in ("onlink", "pervasive") if flag in hop.get("flags", ())]
            words += [name for name in PARTICULARS if hop.get(name) or entry.get(name)]
            words += [f"protocol {protocol}"] if protocol not in LASTING else []
            if words and hop.get("dev"):
                yield Oddity(hop["dev"], f"the route {entry['dst']} ({', '.join(words)})")


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
