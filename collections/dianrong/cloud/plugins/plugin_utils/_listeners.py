# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What handshakes with an engine's listeners prove: that no stranger gets in, or why not. All of it pure."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.module_utils import _remote_api as remote
from ansible_collections.dianrong.cloud.plugins.module_utils._evidence_daemon import REMOTE_API_PORTS
from ansible_collections.dianrong.cloud.plugins.plugin_utils._probe import (
    Target,
    loopback,
    outside,
    unit_ports,
)

# A stranger who knocks at a listener of the Remote API ends with one of these and stays out.
SHUT = (remote.CERTIFICATE_REQUIRED, remote.DENIED, remote.CLOSED, remote.UNREACHABLE)


def targets(seen: dict[str, t.Any], address: str) -> list[Target]:
    """Return where to knock from outside: at every listener of the engine, and at its usual ports.

    A connection to a port that systemd holds for a stopped engine would start it.
    """
    asleep = unit_ports(seen) if seen["engine"] == "stopped" else set()
    found = {Target(address, port) for port in (*REMOTE_API_PORTS, *unit_ports(seen))}
    found |= {
        Target(outside(one["address"], address), one["port"])
        for one in seen["listeners"]
        if not one["published"] and not loopback(one["address"])
    }
    return sorted(one for one in found if one.port not in asleep)


def neighbour(
    host: str, playing: t.Collection[str], engines: t.Collection[str], serving: t.Collection[str]
) -> str:
    """Return the host that should knock at another one's engine, the next by name; empty when there is none.

    Args:
        host: whose engine it is.
        playing: the hosts of the play that are well so far; those with an engine come first.
        engines: the hosts that have an engine.
        serving: the hosts that are in service; of the engines among them where the play has none.
    """
    for hosts in ({*playing} & {*engines}, {*engines} & {*serving}, {*playing}):
        if others := hosts - {host}:
            # Each host has another neighbour, so no one knocks for a whole fleet.
            return min((one for one in others if one > host), default=min(others))
    return ""


def objections(
    seen: dict[str, t.Any],
    handshakes: t.Iterable[dict[str, t.Any]],
    expected: t.Collection[int],
    others: t.Collection[int] = (),
) -> list[str]:
    """Return one sentence for each listener that is not proved to keep strangers out."""
    made = list(handshakes)
    said = [exposed(one) for one in made if one["state"] in remote.EXPOSED]
    own = {one["port"] for one in seen["listeners"] if one["owner"] == "dockerd" and not one["published"]}
    own |= unit_ports(seen)
    for port in sorted(own - {*expected, *others}):
        said.append(f"the engine listens on tcp {port}, where nobody declared it")
    for port in sorted(expected):
        said += _unproved(port, own, [one for one in made if one["port"] == port])
    return said


def undecided(handshakes: t.Iterable[dict[str, t.Any]], expected: t.Collection[int]) -> list[str]:
    """Return one sentence for each handshake that did not end with a stranger shut out."""
    return [
        exposed(one) if one["state"] in remote.EXPOSED else _unclear(one)
        for one in handshakes
        if one["state"] in remote.EXPOSED or (one["port"] in expected and one["state"] not in SHUT)
    ]


def exposed(handshake: dict[str, t.Any]) -> str:
    """Return what a stranger found."""
    tls = ", in TLS without a client certificate" if handshake["state"] == remote.OPEN_TLS else ""
    place = f"tcp://{handshake['address']}:{handshake['port']}"
    return f"the Remote API lets in anybody at {place}{tls} (tried from {handshake['source']})"


def _unproved(port: int, own: set[int], made: list[dict[str, t.Any]]) -> list[str]:
    if port not in own:
        return [f"the Remote API does not listen on tcp {port}"]
    unclear = [_unclear(one) for one in made if one["state"] not in (*SHUT, *remote.EXPOSED)]
    shut_out = any(one["state"] in (remote.CERTIFICATE_REQUIRED, remote.DENIED) for one in made)
    if unclear or shut_out or any(one["state"] in remote.EXPOSED for one in made):
        return unclear
    return [f"nobody came through to tcp {port}, so nothing shows that it asks for a certificate"]


def _unclear(handshake: dict[str, t.Any]) -> str:
    place = f"tcp://{handshake['address']}:{handshake['port']}"
    return (
        f"the handshake with {place} from {handshake['source']} does not show that it asks for a "
        f"certificate: {handshake['state']}, {handshake['detail']}"
    )
