# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a host's bridges: from what is wanted and what is there to the steps between; pure.

A bridge of mode C(nat) is a Docker network on a bridge that Docker makes. A bridge of mode C(uplink) is a
Linux bridge in the place of a network interface, and a Docker network on top of it that leaves the bridge's
addresses alone (C(com.docker.network.bridge.inhibit_ipv4)), hands out the host's slice of the interface's
network and sends its containers straight to that network's router.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from ansible_collections.dianrong.cloud.plugins.module_utils import _links, _uplink

LABEL = "com.dianrong.cloud.bridge"
BRIDGE = "com.docker.network.bridge"
MTU = "com.docker.network.driver.mtu"
LINK = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")
IPAM = ("Subnet", "IPRange", "Gateway")
IPV6_MTU = 1280


class BridgeError(Exception):
    """What is wanted cannot be had on this host; the message names it and what to do. Nothing was changed."""


@dataclass(frozen=True)
class Wish:
    """One bridge as it is declared; ``slice`` are the addresses that its containers get."""

    name: str
    mode: str
    nic: str | None = None
    slice: str | None = None
    gateway: str | None = None
    mtu: int | None = None
    ipv6: str | None = None


@dataclass(frozen=True)
class Network:
    """A Docker network; ``users`` are its containers, stopped ones included."""

    name: str
    driver: str
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    subnets: tuple[dict[str, str], ...] = ()
    ipv6: bool = False
    users: tuple[str, ...] = ()

    @property
    def bridge(self):
        """The Linux bridge that it is told to use, if any."""
        return self.options.get(f"{BRIDGE}.name")


@dataclass(frozen=True)
class Host:
    """What a plan looks at: the network, the records of takeovers, Docker's networks, and swarm mode.

    ``managers`` says for each interface what watches it; see ``_links.manager``. ``rules`` are those of the
    chain DOCKER-USER.
    """

    links: _links.Links
    taken: dict[str, _uplink.Taken] = field(default_factory=dict)
    networks: tuple[Network, ...] = ()
    swarm: bool = False
    managers: dict[str, str] = field(default_factory=dict)
    rules: str = ""


@dataclass(frozen=True)
class Plan:
    """The steps: which uplinks stand as they are, are made or released, and Docker's networks."""

    uplinks: tuple[_uplink.Uplink, ...] = ()
    taken: dict[str, _uplink.Taken] = field(default_factory=dict)
    raise_: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    create: tuple[Network, ...] = ()


def wish(given):
    """Return a wish from a module's options; BridgeError names a value that is none."""
    subject = f"bridge {given['name']}"
    for option in ("name", "nic"):
        if given[option] is not None and not LINK.match(given[option]):
            raise BridgeError(f"{subject}: {given[option]!r} is no name of an interface")
    for option, kind, what in (
        ("slice", ipaddress.IPv4Network, "an IPv4 network"),
        ("ipv6", ipaddress.IPv6Network, "an IPv6 network"),
        ("gateway", ipaddress.IPv4Address, "an IPv4 address"),
    ):
        try:
            if given[option] is not None:
                kind(given[option])
        except ValueError as error:
            raise BridgeError(f"{subject}: {option} is no {what.partition(' ')[2]}: {error}") from error
    return Wish(**given)


def plan(wishes, absent, host):
    """Return the plan that brings a host to its wishes; BridgeError where one cannot be had."""
    _refuse_overlay(host)
    names = [wish.name for wish in wishes]
    for name in [*names, *absent]:
        if (names + list(absent)).count(name) > 1:
            raise BridgeError(f"bridge {name}: it is declared twice, or declared and to be removed")
    behind = (*_uplink.DOCKERS, *(wish.name for wish in wishes if wish.mode == "nat"))
    made = [_one(wish, host, behind) for wish in wishes]
    removed = [network for network in host.networks if network.name in absent and LABEL in network.labels]
    for network in removed:
        _refuse_users(network, "removed")
    uplinks = tuple(uplink for uplink, _taken, _network in made if uplink)
    recreated = [network for _uplink, _taken, network in made if _differs(network, host)]
    for network in recreated:
        for old in _named(network.name, host):
            _refuse_users(old, "made anew: " + ", ".join(_reasons(network, old)))
            removed.append(old)
    return Plan(
        uplinks=uplinks,
        taken={uplink.name: taken for uplink, taken, _network in made if uplink},
        raise_=tuple(uplink.name for uplink in uplinks if not _stands(uplink, host)),
        release=tuple(name for name in absent if name in host.taken),
        remove=tuple(network.name for network in removed),
        create=tuple(recreated),
    )


def _stands(uplink, host):
    return _uplink.stands(host.links, uplink) and _uplink.passes(uplink.name, host.rules)


def facts(host, uplinks, networks):
    """Return bridges and Docker networks as people read them, for a diff."""
    return {
        "uplinks": {
            uplink.name: {
                "nic": uplink.nic,
                "mtu": uplink.mtu,
                "addresses": sorted(uplink.addresses),
                "routes": sorted(f"{route.to} via {route.via or 'the link'}" for route in uplink.routes),
            }
            for uplink in uplinks
        },
        "networks": {
            network.name: {
                "driver": network.driver,
                "options": dict(network.options),
                "subnets": [dict(one) for one in network.subnets],
                "ipv6": network.ipv6,
            }
            for network in networks
        },
    }


def now(host, name):
    """Return the uplink bridge that a host has under a name, as it is; None where there is none."""
    taken = host.taken.get(name)
    bridge = host.links.links.get(name)
    if taken is None or bridge is None:
        return None
    standing = _uplink.take(host.links, name)
    return _uplink.Uplink(name, taken.nic, bridge.mtu, standing.addresses, standing.routes)


def _one(wish, host, behind):
    if wish.name == "docker0":
        raise BridgeError("bridge docker0 is Docker's own: set its subnet with the option bip of the engine")
    foreign = [
        network
        for network in host.networks
        if LABEL not in network.labels
        and wish.name in (network.name, network.bridge)
        and not _stands_already(wish, network)
    ]
    if foreign:
        raise BridgeError(
            f"bridge {wish.name}: the Docker network {foreign[0].name} of that name or bridge is not "
            "drCloud's; remove it or choose another name"
        )
    if wish.ipv6:
        _refuse_collision(wish, ipaddress.ip_network(wish.ipv6), host)
    return _uplink_of(wish, host, behind) if wish.mode == "uplink" else (None, None, _nat(wish, host))


def _stands_already(wish, network):
    """Tell whether somebody else's network is all that is wanted: it stays, and its containers with it."""
    return (
        wish.mode == "nat"
        and network.driver == "bridge"
        and wish.name == network.name == network.bridge
        and not (wish.slice or wish.ipv6 or network.ipv6)
        and network.options.get(f"{BRIDGE}.enable_icc", "true") == "true"
        and network.options.get(MTU) == (str(wish.mtu) if wish.mtu else None)
    )


def _nat(wish, host):
    """Return the Docker network of a bridge that Docker makes."""
    if wish.name in host.taken:
        raise BridgeError(
            f"bridge {wish.name} took over {host.taken[wish.name].nic}: remove it before it becomes nat"
        )
    if wish.slice:
        _refuse_collision(wish, ipaddress.ip_network(wish.slice), host)
    options = {f"{BRIDGE}.name": wish.name, f"{BRIDGE}.enable_icc": "true"}
    if wish.mtu:
        _refuse_mtu(wish, 68, 65535, "a bridge")
        options[MTU] = str(wish.mtu)
    subnets = []
    if wish.slice:
        subnet = ipaddress.ip_network(wish.slice)
        subnets.append({"Subnet": str(subnet), "Gateway": wish.gateway or str(subnet[1])})
    return _network(wish, options, subnets)


def _uplink_of(wish, host, behind):
    """Return the uplink, what it takes over, and the Docker network on it."""
    nic = _nic(wish, host)
    standing = host.taken.get(wish.name)
    if standing and standing.nic != wish.nic:
        raise BridgeError(
            f"bridge {wish.name} took over {standing.nic}: remove it before it takes over {wish.nic}"
        )
    own = nic.master == wish.name and standing is None
    # The host's own configuration makes this bridge already: it stays as it is.
    taken = standing or _uplink.take(host.links, wish.name if own else wish.nic)
    _refuse_mtu(wish, nic.lowest_mtu or 68, nic.highest_mtu or 65535, nic.name)
    uplink = None
    if not own:
        if standing is None:
            _refuse_takeover(wish, nic, host)
        uplink = _uplink.wanted(wish.name, taken, wish.mtu, wish.gateway, slice=wish.slice, behind=behind)
    network = _on_uplink(wish, taken, host, wish.mtu or (nic.mtu if own else taken.mtu))
    return uplink, taken, network


def _nic(wish, host):
    nic = host.links.links.get(wish.nic)
    if nic is None:
        known = host.links.links.values()
        there = ", ".join(sorted(one.name for one in known if one.kind not in ("loopback", "bridge")))
        raise BridgeError(
            f"bridge {wish.name}: there is no interface {wish.nic} on this host; it has {there}"
        )
    if nic.master not in (None, wish.name):
        raise BridgeError(f"bridge {wish.name}: the interface {nic.name} belongs to {nic.master} already")
    if nic.kind in ("loopback", "bridge"):
        raise BridgeError(f"bridge {wish.name}: {nic.name} is a {nic.kind}, which a bridge cannot take over")
    bridge = host.links.links.get(wish.name)
    if bridge is not None and bridge.kind != "bridge":
        raise BridgeError(
            f"bridge {wish.name}: there is a {bridge.kind} interface of this name; choose another"
        )
    return nic


def _refuse_takeover(wish, nic, host):
    """What a takeover would break, or what would break it."""
    subject = f"bridge {wish.name}: the interface {nic.name}"
    watcher = host.managers.get(nic.name, "plain")
    if watcher != "plain":
        raise BridgeError(
            f"{subject} is managed by {watcher}, which would put its configuration back; make the bridge "
            f"there with {nic.name} in it, then this role uses it as it is"
        )
    if any(one.dynamic and one.interface.version == 4 for one in host.links.of(nic.name)):
        raise BridgeError(f"{subject} has its address by DHCP: give it a static one first")
    for route in host.links.routes:
        if route.link != nic.name or route.protocol in _links.PASSING:
            continue
        if route.table not in ("main", "local"):
            raise BridgeError(
                f"{subject} is used by the routing table {route.table}; only main is taken over"
            )
        if route.hops > 1:
            raise BridgeError(
                f"{subject} is one of several hops of the route {route.to}; only one is taken over"
            )
    # What cannot be said again cannot be given back either: the undo would leave the host cut off.
    odd = [one.what for one in host.links.odd if one.link == nic.name]
    if odd:
        raise BridgeError(
            f"{subject} has {' and '.join(odd)}, which a takeover can neither carry over nor give back; "
            "configure it without that, or make the bridge in the host's own configuration"
        )


def _on_uplink(wish, taken, host, mtu):
    """Return the Docker network whose containers stand in the interface's own network."""
    networks = [ipaddress.ip_interface(address) for address in taken.addresses if ":" not in address]
    if not networks:
        raise BridgeError(
            f"bridge {wish.name}: the interface {wish.nic} has no lasting IPv4 address, and so no network "
            "for containers; give it one"
        )
    if not wish.slice:
        raise BridgeError(f"bridge {wish.name}: no addresses for containers; declare an aggregate for them")
    part = ipaddress.ip_network(wish.slice)
    home = next((one for one in networks if part.subnet_of(one.network)), None)
    if home is None:
        where = ", ".join(str(one.network) for one in networks)
        raise BridgeError(
            f"bridge {wish.name}: {part} is no part of the network of {wish.nic}, which is {where}"
        )
    old = _uplink.router(taken)
    gateway = wish.gateway or (old if old and ipaddress.ip_address(old) in home.network else str(home.ip))
    for address in [gateway, *(str(one.ip) for one in networks)]:
        if ipaddress.ip_address(address) in part:
            raise BridgeError(f"bridge {wish.name}: {part} is for containers, but {address} in it is taken")
    options = {
        f"{BRIDGE}.name": wish.name,
        # Docker must neither give the bridge an address nor take one away.
        f"{BRIDGE}.inhibit_ipv4": "true",
        f"{BRIDGE}.enable_ip_masquerade": "false",
        # Frames between interface and containers pass Docker's FORWARD rules as from bridge to bridge.
        f"{BRIDGE}.enable_icc": "true",
        MTU: str(mtu),
    }
    return _network(wish, options, [{"Subnet": str(home.network), "IPRange": str(part), "Gateway": gateway}])


def _network(wish, options, subnets):
    if wish.ipv6:
        six = ipaddress.ip_network(wish.ipv6)
        subnets = [*subnets, {"Subnet": str(six), "Gateway": str(six[1])}]
    return Network(wish.name, "bridge", options, {LABEL: wish.mode}, tuple(subnets), bool(wish.ipv6))


def _refuse_overlay(host):
    for network in host.networks:
        if network.driver == "overlay":
            raise BridgeError(
                f"the Docker network {network.name} is an overlay; drCloud's hosts have none: remove it"
            )
    if host.swarm:
        raise BridgeError("the engine is in swarm mode, which brings overlay networks: docker swarm leave")


def _refuse_users(network, what):
    if network.users:
        users = ", ".join(network.users)
        raise BridgeError(
            f"Docker network {network.name} would have to be {what}; it has the containers {users}: remove "
            "or move them first, they are not cut off by this run"
        )


def _refuse_mtu(wish, lowest, highest, subject):
    if wish.mtu is None:
        return
    if not lowest <= wish.mtu <= highest:
        raise BridgeError(
            f"bridge {wish.name}: {subject} takes an MTU of {lowest} to {highest} bytes, not {wish.mtu}"
        )
    if wish.ipv6 and wish.mtu < IPV6_MTU:
        raise BridgeError(f"bridge {wish.name}: IPv6 needs an MTU of {IPV6_MTU} bytes, not {wish.mtu}")


def _refuse_collision(wish, subnet, host):
    """A subnet of its own must not hide anything that the host reaches."""
    for route in host.links.routes:
        if route.link == wish.name or route.table != "main" or route.network.prefixlen == 0:
            continue
        if route.network.version == subnet.version and route.network.overlaps(subnet):
            via = f" via {route.via}" if route.via else ""
            raise BridgeError(
                f"bridge {wish.name}: the subnet {subnet} collides with the host's route {route.to}{via} "
                f"dev {route.link}; declare another aggregate for containers"
            )
    for network in host.networks:
        for known in network.subnets if network.name != wish.name else ():
            other = ipaddress.ip_network(known["Subnet"], strict=False)
            if other.version == subnet.version and other.overlaps(subnet):
                raise BridgeError(
                    f"bridge {wish.name}: the subnet {subnet} collides with {other} of the Docker network "
                    f"{network.name}; declare another aggregate for containers"
                )


def _named(name, host):
    return [network for network in host.networks if network.name == name]


def _differs(network, host):
    found = _named(network.name, host)
    # One that is not ours and got past the refusals stands as it is.
    return not found or (LABEL in found[0].labels and bool(_reasons(network, found[0])))


def _family(subnet):
    return ipaddress.ip_network(subnet["Subnet"]).version


def _reasons(network, found):
    """Name what of an existing Docker network is not as wanted; none of it can be changed in place."""
    reasons = [
        f"{option} {found.options.get(option)} -> {value}"
        for option, value in sorted(network.options.items())
        if found.options.get(option) != value
    ]
    reasons += [
        f"{option} is set" for option in (MTU,) if option in found.options and option not in network.options
    ]
    if network.labels[LABEL] != found.labels.get(LABEL):
        reasons.append(f"mode {found.labels.get(LABEL)} -> {network.labels[LABEL]}")
    if network.ipv6 != found.ipv6:
        reasons.append(f"ipv6 {found.ipv6} -> {network.ipv6}")
    wanted = [dict(one) for one in network.subnets]
    # Where no subnet of a family is asked for, Docker chose one, and that is as good as another.
    families = {_family(one) for one in wanted}
    known = [
        {key: one[key] for key in IPAM if one.get(key)} for one in found.subnets if _family(one) in families
    ]
    if wanted != known:
        reasons.append(f"subnets {known} -> {wanted}")
    return reasons
