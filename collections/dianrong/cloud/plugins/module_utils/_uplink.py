# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Linux bridge that takes over a network interface: what it took, and the scripts that do and undo it.

Everything here is pure. The same script makes the bridge now and at each boot, so what was confirmed is
what boots.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from ansible_collections.dianrong.cloud.plugins.module_utils import _links

PLACE = "/etc/drcloud/network"
UNITS = "/etc/systemd/system"
# The bridges that Docker makes by itself; C(+) is iptables' wildcard.
DOCKERS = ("docker0", "br-+")
# Seconds that a command which only cleans up waits for iptables' lock.
CLEANING = "-w 5"


@dataclass(frozen=True)
class Taken:
    """What an interface had before a bridge took it over, and gets back when the bridge goes."""

    nic: str
    mtu: int
    addresses: tuple[str, ...]
    routes: tuple[_links.Route, ...]


@dataclass(frozen=True)
class Uplink:
    """A bridge as it shall be: the interface it takes over and what it carries in its place.

    ``slice`` are its containers' addresses; ``behind`` are bridges whose containers go out through it.
    """

    name: str
    nic: str
    mtu: int
    addresses: tuple[str, ...]
    routes: tuple[_links.Route, ...]
    slice: str | None = None
    behind: tuple[str, ...] = DOCKERS


def take(links, nic):
    """Return what an interface has that is configured on it and comes by itself from nowhere."""
    routes = tuple(
        dataclasses.replace(route, protocol="boot")
        for route in links.routes
        if route.link == nic and route.table == "main" and route.protocol not in _links.PASSING
    )
    addresses = tuple(one.value for one in links.of(nic) if not one.dynamic)
    return Taken(nic, links.links[nic].mtu, addresses, routes)


def wanted(name, taken, mtu=None, gateway=None, **given):
    """Return the bridge that carries what was taken; C(gateway) takes the place of the router it had.

    ``given`` are the fields of an uplink that do not come from what was taken.
    """
    old = router(taken)
    routes = tuple(
        dataclasses.replace(route, link=name, via=gateway if gateway and route.via == old else route.via)
        for route in taken.routes
    )
    if gateway and old is None:
        routes += (_links.Route(_links.DEFAULT[4], name, gateway),)
    return Uplink(name, taken.nic, mtu or taken.mtu, taken.addresses, routes, **given)


def router(taken):
    """Return the IPv4 router of the default route, or None."""
    return next((route.via for route in taken.routes if route.to == _links.DEFAULT[4]), None)


def stands(links, uplink):
    """Tell whether the host's network is the wanted one already."""
    bridge, nic = links.links.get(uplink.name), links.links.get(uplink.nic)
    if bridge is None or nic is None or nic.master != uplink.name or bridge.mac != nic.mac:
        return False
    if (bridge.mtu, nic.mtu) != (uplink.mtu, uplink.mtu) or links.of(uplink.nic):
        return False
    there = {one.value for one in links.of(uplink.name)}
    ways = {(route.to, route.via) for route in links.routes if route.link == uplink.name}
    return there.issuperset(uplink.addresses) and ways.issuperset(
        (route.to, route.via) for route in uplink.routes
    )


def script(uplink):
    """Return the script that makes the bridge, from whatever is there; at each boot and now."""
    name, nic = uplink.name, uplink.nic
    carried = "\n".join(_carry(name, uplink.addresses, uplink.routes))
    return f"""#!/bin/sh
# Managed by drCloud: {name} takes over {nic} with its addresses and routes. It runs at each boot.
set -eu
# A driver may take its time; the unit's timeout ends the wait.
until mac=$(ip -oneline link show dev {nic} 2> /dev/null); do sleep 0.2; done
mac=${{mac##*link/ether }}
{_there(name)} || ip link add name {name} type bridge stp_state 0
ip link set dev {nic} mtu {uplink.mtu} up
ip link set dev {name} address "${{mac%% *}}"
ip link set dev {name} mtu {uplink.mtu} up
ip address flush dev {nic}
ip link set dev {nic} master {name}
ip -4 address flush dev {name}
{carried}
# Docker lets packets for loopback addresses in at its bridges (route_localnet); here the wire is behind.
{_loopback(name, "C")} 2> /dev/null || {_loopback(name, "I")}
{_passage(uplink)}"""


def release(name, taken):
    """Return the commands that take the bridge away and give the interface back what it had.

    None of them waits for the engine or holds up another: the interface has all it can have, first of all,
    and a failure is told at the end.
    """
    nic = taken.nic
    lines = [
        f"ip link set dev {nic} nomaster",
        f"! {_there(name)} || ip link delete dev {name}",
        f"ip link set dev {nic} mtu {taken.mtu} up",
        f"ip -4 address flush dev {nic}",
        *_carry(nic, taken.addresses, taken.routes),
    ]
    back = "\n".join(f"{line} || failed=1" for line in lines)
    return f"""failed=0
{back}
{_loopback(name, "D", CLEANING)} 2> /dev/null || true
iptables {CLEANING} -D DOCKER-USER -j {chain(name)} 2> /dev/null || true
iptables {CLEANING} -F {chain(name)} 2> /dev/null && iptables {CLEANING} -X {chain(name)} || true
exit $failed
"""


def unit(uplink):
    """Return the unit that makes the bridge at boot: after what configures the interface, before users."""
    path = script_path(uplink.name)
    return f"""# Managed by drCloud
[Unit]
Description=Bridge {uplink.name} in the place of {uplink.nic}
ConditionPathExists={path}
After=drcloud-guard.service networking.service ifup@{uplink.nic}.service
Before=network-online.target ssh.service docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {path}
TimeoutStartSec=120

[Install]
WantedBy=multi-user.target
"""


def script_path(name):
    """Return where a bridge's script is."""
    return f"{PLACE}/{name}.sh"


def record_path(name):
    """Return where the record is of what a bridge took over."""
    return f"{PLACE}/{name}.json"


def unit_path(name):
    """Return where a bridge's unit is."""
    return f"{UNITS}/{unit_name(name)}"


def unit_name(name):
    """Return the name of a bridge's unit."""
    return f"drcloud-bridge-{name}.service"


def wish_path(name):
    """Return the link that has the unit started at boot."""
    return f"{UNITS}/multi-user.target.wants/{unit_name(name)}"


def dump(taken):
    """Return the text of a record."""
    return json.dumps(dataclasses.asdict(taken), indent=2, sort_keys=True) + "\n"


def load(text):
    """Return what a record says."""
    found = json.loads(text)
    routes = tuple(_links.Route(**route) for route in found["routes"])
    return Taken(found["nic"], found["mtu"], tuple(found["addresses"]), routes)


def chain(name):
    """Return the chain of iptables that a bridge has in DOCKER-USER."""
    return f"DRCLOUD-{name}"


def passes(name, rules):
    """Tell whether DOCKER-USER, as ``iptables -S`` shows it, asks the bridge's chain."""
    return f"-A DOCKER-USER -j {chain(name)}" in rules.splitlines()


def _passage(uplink):
    """Return the commands that let other Docker networks pass between their bridges and the wire.

    Docker takes each of its bridges for a network to be isolated from its others. On an uplink that is the
    wire: published ports and the way out of all other networks would be cut. DOCKER-USER is where Docker
    leaves room for such rules; those that stand there already come first, and containers of different
    networks on this host stay isolated.
    """
    own, name = chain(uplink.name), uplink.name
    apart = f" ! -d {uplink.slice}" if uplink.slice else ""
    out = "\n".join(f"iptables -w -A {own} -i {link} -o {name}{apart} -j ACCEPT" for link in uplink.behind)
    return f"""# Docker isolates its networks from each other, but this one is the way to and from the wire.
iptables -w -N {own} 2> /dev/null || iptables -w -F {own}
iptables -w -A {own} -i {name} -o {name} -j RETURN
iptables -w -A {own} -i {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -w -A {own} -i {name} -m conntrack --ctstate DNAT -j ACCEPT
{out}
iptables -w -N DOCKER-USER 2> /dev/null || true
if ! iptables -w -C DOCKER-USER -j {own} 2> /dev/null; then
    rules=$(iptables -w -S DOCKER-USER)
    case $rules in
        *"-A DOCKER-USER -j RETURN") set -- -I DOCKER-USER "$(echo "$rules" | grep -c ^-A)" ;;
        *) set -- -A DOCKER-USER ;;
    esac
    iptables -w "$@" -j {own}
fi
"""


def _loopback(link, verb, wait="-w"):
    return f"iptables {wait} -t raw -{verb} PREROUTING -i {link} -d 127.0.0.0/8 -j DROP"


def _there(link):
    return f"ip link show dev {link} > /dev/null 2>&1"


def _carry(link, addresses, routes):
    lines = [
        f"ip address replace {address} dev {link}" + (" nodad" if ":" in address else " broadcast +")
        for address in addresses
    ]
    # Routes to routers first, then those that lead through them.
    return lines + [_route(link, route) for route in sorted(routes, key=lambda route: route.via is not None)]


def _route(link, route):
    words = ["ip", "-6" if ":" in route.to else "-4", "route", "replace", route.to]
    words += ["via", route.via] if route.via else []
    words += ["dev", link]
    words += ["src", route.source] if route.source else []
    words += ["metric", str(route.metric)] if route.metric else []
    return " ".join(words)
