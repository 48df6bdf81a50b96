"""Host ports that nobody needs any more.

A host that leaves a placement may still run its containers, so their ports stay reserved until the
host was looked at again and none was there (or the host is retired or gone). Then the next import
of the placement frees them; ``release`` frees them on somebody's word.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb import ipam
from drcloud.cmdb.declared import Host
from drcloud.cmdb.ipam import SLOTS, Slot, port_owner, port_pool
from drcloud.cmdb.operational import ChangeLog, Instance, Observation
from drcloud.cmdb.state import State

GONE = "retired"


def release(session: Session, app: str, env: str, host: str) -> bool:
    """Free the ports of an app on a host, whatever runs there; False when it has none."""
    freed = [ipam.free(session, port_pool(host), port_owner(app, env, slot)) for slot in SLOTS]
    return any(freed)


def unused(session: Session, state: State, placements: Container[str]) -> list[str]:
    """Return the keys of the ports that hosts which left some placements need no more."""
    candidates = {
        key: slot
        for key, fields in state["allocation"].items()
        if (slot := _slot(fields["pool"], fields["owner"])) is not None
        and _placement(slot) in placements
        and _member(slot) not in state["placement_host"]
    }
    if not candidates:
        return []
    left = _left_at(session, {_member(slot) for slot in candidates.values()})
    hosts = {slot.host for slot in candidates.values()}
    looked, running = _looked_at(session, hosts), _running(session, hosts)
    return [
        key
        for key, slot in candidates.items()
        if (since := left.get(_member(slot))) is not None
        and (
            state["host"].get(slot.host, {"state": GONE})["state"] == GONE
            or (slot.host in looked and looked[slot.host] > since and slot not in running)
        )
    ]


def _slot(pool: str, owner: str) -> Slot | None:
    """Return whose port an allocation is; None for other pools and for owners of another form."""
    words = owner.split("/")
    if not pool.startswith(ipam.PORT_POOL) or len(words) != len(Slot._fields) - 1:
        return None
    return Slot(pool.removeprefix(ipam.PORT_POOL), *words)


def _placement(slot: Slot) -> str:
    return f"{slot.app}@{slot.env}"


def _member(slot: Slot) -> str:
    return f"{_placement(slot)}/{slot.host}"


def _left_at(session: Session, members: Iterable[str]) -> dict[str, datetime]:
    """Return when hosts left placements last; a port that was never one of a placement has no such time."""
    query = (
        select(ChangeLog.key, func.max(ChangeLog.at))
        .where(ChangeLog.kind == "placement_host", ChangeLog.action == "delete")
        .where(ChangeLog.key.in_(members))
        .group_by(ChangeLog.key)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _looked_at(session: Session, hosts: Iterable[str]) -> dict[str, datetime]:
    query = select(Host.name, Observation.observed_at).join(Observation.host).where(Host.name.in_(hosts))
    return {row[0]: row[1] for row in session.execute(query)}


def _running(session: Session, hosts: Iterable[str]) -> frozenset[Slot]:
    """Return the slots of which a container was seen; one that stopped may be started again."""
    columns = select(Host.name, Instance.app, Instance.env, Instance.slot).join(Instance.host)
    return frozenset(Slot(*row) for row in session.execute(columns.where(Host.name.in_(hosts))))
