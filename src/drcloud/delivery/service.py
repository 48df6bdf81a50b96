"""Hosts in and out of service by a person's word: what one should serve, and what goes when it is retired."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import drift, hosts, lookup, ports, snapshot
from drcloud.cmdb.declared import Host, PlacementHost
from drcloud.cmdb.operational import Instance, Observation
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy
from drcloud.delivery.drifts import MEANING
from drcloud.errors import InvalidInputError

RETIRED = "retired"
# The source of a look at a host.
DECOMMISSION = "decommission"
# From where a host can be retired at once; see ``drcloud.cmdb.hosts.MOVES``.
ON_THE_WAY = "maintenance"


def standing(store: Store, host: str) -> dict[str, str]:
    """Return the pools that a host should serve, each with why it must not yet; empty words where it may.

    As last observed. What was never deployed is served by nobody.
    """
    with store.read() as session:
        lookup.host(session, host)
        placements = [
            row for row in snapshot.load(session, parts=frozenset()).placements if host in row.hosts
        ]
        observed = drift.read(session)
    found = {
        (one.app, one.env): one
        for one in drift.find(placements, observed)
        if one.host == host and not one.is_changed_by_hand
    }
    return {
        haproxy.pool_name(*place): MEANING[found[place].kind] if place in found else ""
        for place in ((row.app, row.env) for row in placements)
        if place in observed.desired
    }


def is_emptied(store: Store, host: str) -> bool:
    """Tell whether the last look at a host was that of its decommissioning, and nothing of ours was left."""
    with store.read() as session:
        row = lookup.host(session, host)
        look = session.scalars(select(Observation).where(Observation.host_id == row.id)).one_or_none()
        left = session.scalars(select(Instance.id).where(Instance.host_id == row.id).limit(1)).first()
        return look is not None and look.source == DECOMMISSION and left is None


def require_retirable(store: Store, host: str) -> None:
    """Raise where a placement would have fewer hosts left than must stay in service."""
    with store.read() as session:
        _members(session, lookup.host(session, host))


def retire(store: Store, host: str, *, reason: str, ticket: str | None = None) -> list[str]:
    """Take a host out of its placements, free its ports and addresses, and retire it; return what went.

    InvalidInputError where something of ours was last seen on it, or a placement cannot do without it.
    """
    with store.write(reason=reason, ticket=ticket) as session:
        row = lookup.host(session, host)
        left = session.scalars(select(Instance.name).where(Instance.host_id == row.id).limit(1)).first()
        if left is not None:
            raise InvalidInputError(f"host {host} still has the container {left}: it is not retired")
        lines = [_leave(session, member, host) for member in _members(session, row)]
        for address in list(row.addresses):
            lines.append(f"free address {address.address}")
            session.delete(address)
        if row.state not in ("planned", "provisioning", "quarantined", ON_THE_WAY):
            hosts.transition(session, row, ON_THE_WAY)
        hosts.transition(session, row, RETIRED)
    return [*lines, f"retire host {host}"]


def _members(session: Session, row: Host) -> list[PlacementHost]:
    found = list(session.scalars(select(PlacementHost).where(PlacementHost.host_id == row.id)))
    for member in found:
        placement = member.placement
        app, env, left = placement.app.name, placement.environment.name, len(placement.members) - 1
        if left < placement.min_in_service:
            raise InvalidInputError(
                f"{app} in {env} needs {placement.min_in_service} hosts in service and would have {left} "
                f"without {row.name}: give it another one first (`drcloud app assign {app} --env {env}`)"
            )
    return found


def _leave(session: Session, member: PlacementHost, host: str) -> str:
    placement = member.placement
    app, env = placement.app.name, placement.environment.name
    placement.members.remove(member)
    session.flush()
    ports.release(session, app, env, host)
    return f"leave {app}@{env} and free its ports"
