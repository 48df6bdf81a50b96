"""What a load balancer says of a pool, and the lines that change it.

Pure functions around HAProxy's Runtime API (management guide 2.6, sections 9.1 and 9.3): commands are
text for the admin socket, answers are parsed into values. Nothing here opens a connection.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

AdminState = Literal["ready", "drain", "maint"]

RUNNING = 2
# Bits of srv_admin_state: forced, inherited and configured maintenance, DNS, hostname; forced and inherited
# drain.
MAINTENANCE_BITS = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
DRAIN_BITS = 0x08 | 0x10
FORMER = re.compile(r"^# process \d+$", re.MULTILINE)
# `show stat` columns: the scope 4 means servers.
SERVERS = 4


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a pool as one load balancer sees it. A server is a slot of a host."""

    name: str
    running: bool
    admin: AdminState
    sessions: int

    @property
    def host(self) -> str:
        """Return the host's name: servers are called ``<host>_<slot>``."""
        return self.name.rpartition("_")[0]

    @property
    def in_service(self) -> bool:
        """Tell whether new requests go there."""
        return self.running and self.admin == "ready"


Pool = dict[str, Server]


def pool_name(app: str, env: str) -> str:
    """Return the name of the pool of an app in an environment."""
    return f"{app}_{env}"


def server_name(host: str, slot: str) -> str:
    """Return the name of the server that is a host's slot."""
    return f"{host}_{slot}"


def ask(pool: str) -> str:
    """Return the line that asks for all servers of a pool, their states and their sessions."""
    return f"show servers state {pool}; show stat {pool} {SERVERS} -1"


def put(pool: str, server: str, state: AdminState) -> str:
    """Return the line that sets a server's administrative state."""
    return f"set server {pool}/{server} state {state}"


def down(pool: str, server: str) -> str:
    """Return the line that marks a server as down now, without waiting for its checks to fail.

    For a server whose instance was stopped: ``ready`` after this cannot send a request into the void.
    """
    return f"set server {pool}/{server} health down"


def parse(pool: str, answer: str) -> Pool:
    """Return the servers in the answer to ``ask``; ValueError with the balancer's words if it is none.

    What follows a line ``# process PID`` was said by a process that a reload replaced and that still has
    connections: they count as sessions, and nothing else it says is of interest.
    """
    answer, *former = FORMER.split(answer)
    states = _states(answer)
    if not states:
        words = " ".join(answer.split()) or "no answer"
        raise ValueError(f"the pool {pool} is not known there ({words[:200]})")
    sessions = Counter(_sessions(pool, answer))
    if silent := sorted(set(states) - set(sessions)):
        raise ValueError(f"nothing is told of the sessions of {silent[0]} in the pool {pool}")
    for said in former:
        sessions.update(_sessions(pool, said))
    return {
        name: Server(name, operational == RUNNING, _admin(bits), sessions[name])
        for name, (operational, bits) in states.items()
    }


def _states(answer: str) -> dict[str, tuple[int, int]]:
    header: list[str] = []
    found: dict[str, tuple[int, int]] = {}
    for line in answer.splitlines():
        words = line.split()
        if line.startswith("# be_id"):
            header = words[1:]
        elif not words:
            header = []
        elif header and len(words) >= len(header) // 2 and words[0].isdigit():
            row = dict(zip(header, words, strict=False))
            found[row["srv_name"]] = int(row["srv_op_state"]), int(row["srv_admin_state"])
    return found


def _sessions(pool: str, answer: str) -> dict[str, int]:
    lines = answer.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("# pxname")), None)
    if start is None:
        return {}
    rows = csv.DictReader([lines[start].removeprefix("# "), *lines[start + 1 :]])
    return {
        row["svname"]: int(row["scur"] or 0) + int(row["qcur"] or 0)
        for row in rows
        if row["pxname"] == pool and row.get("scur")
    }


def _admin(bits: int) -> AdminState:
    if bits & MAINTENANCE_BITS:
        return "maint"
    return "drain" if bits & DRAIN_BITS else "ready"


def hosts_in_service(pool: Pool) -> frozenset[str]:
    """Return the hosts that take new requests, by any of their slots."""
    return frozenset(server.host for server in pool.values() if server.in_service)


@dataclass(frozen=True, slots=True)
class Shortage:
    """A load balancer at which too few hosts would stay in service."""

    lb: str
    staying: int
    needed: int


def shortage(pools: Mapping[str, Pool], leaving: Collection[str], needed: int) -> Shortage | None:
    """Return the first load balancer at which fewer than ``needed`` hosts stay, or None.

    This is the question before each drain: hosts in service at *every* load balancer, minus those of the
    batch that is being rolled.
    """
    for lb, pool in sorted(pools.items()):
        staying = len(hosts_in_service(pool) - frozenset(leaving))
        if staying < needed:
            return Shortage(lb, staying, needed)
    return None


def missing(pool: Pool, servers: Iterable[str]) -> list[str]:
    """Return the servers that the pool does not know: its load balancer needs to be provisioned."""
    return [name for name in servers if name not in pool]
