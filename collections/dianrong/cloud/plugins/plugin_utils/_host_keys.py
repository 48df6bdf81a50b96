# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First contact with hosts: who has to be asked, in which order, and what they answered."""

from __future__ import annotations

import dataclasses
import subprocess
import typing as t
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

try:
    from drcloud.cmdb.snapshot import HostKeyRow, HostRow, Snapshot
except ImportError:
    HostKeyRow = None  # The action says what is missing.

KEY_TYPES = "ed25519,ecdsa,rsa"
# ssh-keyscan holds 246 connections (MAXMAXFD of its source, less ten) and opens one for each type of key.
MEMBERS = 80
# How many of them run at once; each may be a session on the same bastion.
AT_ONCE = 4
# A host in service without a pinned key is not new: somebody has to say that its key is right.
NEW_STATES = ("planned", "provisioning")


@dataclasses.dataclass(frozen=True)
class Waves:
    """Hosts without a pinned key in the order of asking; ``refused`` says why others are not asked."""

    waves: tuple[tuple[str, ...], ...]
    refused: dict[str, str]

    @property
    def wanted(self) -> frozenset[str]:
        """All hosts that are asked."""
        return frozenset(name for wave in self.waves for name in wave)


def waves(rows: Snapshot, names: t.Iterable[str]) -> Waves:
    """Return who is asked and when: a bastion before the hosts behind it; pure."""
    known = {row.name: row for row in rows.hosts}
    keyed = {row.host for row in rows.host_keys}
    refused: dict[str, str] = {}
    by_depth: dict[int, list[str]] = defaultdict(list)
    for name in sorted({link for asked in names for link in _chain(known, asked)}):
        host = known[name]
        if name in keyed:
            continue
        if host.state not in NEW_STATES:
            refused[name] = (
                f"is {host.state}, but the CMDB holds no SSH host key of it; "
                "set its state to provisioning if it may be trusted at first contact"
            )
        elif host.address is None:
            refused[name] = "has no address in the CMDB"
        else:
            by_depth[len(_chain(known, name))].append(name)
    return Waves(tuple(tuple(by_depth[depth]) for depth in sorted(by_depth)), refused)


def commands(
    rows: Snapshot, wave: t.Sequence[str], config: str | None, timeout: int
) -> t.Iterator[tuple[list[str], dict[str, str]]]:
    """Yield commands for each way to a part of the wave, and the names by address; pure."""
    known = {row.name: row for row in rows.hosts}
    ways: dict[tuple[str | None, int], list[HostRow]] = defaultdict(list)
    for name in wave:
        ways[known[name].ssh_via, known[name].ssh_port].append(known[name])
    for (via, port), hosts in ways.items():
        scan = [*_through(via, config, timeout), "ssh-keyscan", "-T", str(timeout), "-p", str(port)]
        for first in range(0, len(hosts), MEMBERS):
            members = {str(host.address): host.name for host in hosts[first : first + MEMBERS]}
            yield [*scan, "-t", KEY_TYPES, *members], members


def ask(commands: t.Iterable[tuple[list[str], dict[str, str]]], timeout: float) -> dict[str, dict[str, str]]:
    """Run commands, a few at once, and return ``{host: {type: key}}`` of those that answered."""
    asked = list(commands)
    found: dict[str, dict[str, str]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda one: run(one[0], timeout), asked)
        for (_command, members), answer in zip(asked, answers, strict=True):
            found |= parse(answer, members)
    return found


def run(command: t.Sequence[str], timeout: float) -> str:
    """Return what the hosts said, also until it was given up; those who said nothing are missing in it."""
    try:
        # Hosts are asked at the same time, the way to them may take as long again.
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=3 * timeout,
        )
    except subprocess.TimeoutExpired as error:
        # In bytes, also where text is asked for.
        return (error.stdout or b"").decode("ascii", "replace")
    return done.stdout


def parse(output: str, members: t.Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return ``{host: {type: key}}`` from what ssh-keyscan printed; pure."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in output.splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        # A port other than 22 is printed as [address]:port.
        address = words[0].partition("]")[0].lstrip("[")
        if address in members:
            found[members[address]][words[1]] = words[2]
    return dict(found)


def silent(rows: Snapshot, asked: Waves, found: t.Container[str]) -> dict[str, str]:
    """Return what to say of the hosts that showed no key; pure."""
    known = {row.name: row for row in rows.hosts}
    return {
        name: f"no SSH server showed its key at {known[name].address} port {known[name].ssh_port}"
        + (f" through {known[name].ssh_via}" if known[name].ssh_via else "")
        for name in sorted(asked.wanted)
        if name not in found
    }


def with_keys(rows: Snapshot, found: t.Mapping[str, t.Mapping[str, str]]) -> Snapshot:
    """Return the snapshot as if the found keys were pinned; pure."""
    new = tuple(HostKeyRow(name, kind, key) for name, keys in found.items() for kind, key in keys.items())
    return dataclasses.replace(rows, host_keys=(*rows.host_keys, *new))


def _chain(known: t.Mapping[str, HostRow], name: str) -> list[str]:
    """Return the host and those in front of it, nearest first; only what the CMDB knows."""
    chain: list[str] = []
    link: str | None = name
    while link is not None and link in known and link not in chain:
        chain.append(link)
        link = known[link].ssh_via
    return chain


def _through(via: str | None, config: str | None, timeout: int) -> list[str]:
    if via is None:
        return []
    given = ["-F", config] if config else []
    return ["ssh", *given, "-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}", via]
