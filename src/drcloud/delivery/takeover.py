"""A container that somebody else started is what an app has in slot ``a``, until a deploy takes its place.

It is declared in ``attrs.takes_over`` of the placement, and slot ``a`` of its host gets the port that it
publishes. So load balancers that are provisioned send requests to it, and the next deploy treats it as what
runs: the new instance starts next to it, the traffic moves, it is stopped and kept. It is never removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup, objects
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.declared import Host, Placement
from drcloud.cmdb.ipam import port_owner, port_pool
from drcloud.cmdb.observations import SURVEY
from drcloud.cmdb.operational import HostFact, Instance
from drcloud.cmdb.snapshot import TAKES_OVER
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery.slots import LIVE
from drcloud.errors import InvalidInputError, NotFoundError

SLOT = "a"


def take_over(
    store: Store,
    app: str,
    env: str,
    containers: Mapping[str, str],
    *,
    reason: str,
    ticket: str | None = None,
    dry_run: bool = False,
) -> objects.Outcome:
    """Declare which containers, by host, an app has there already; what was declared before stays.

    InvalidInputError where a container is not what the app is: it must run, and publish the app's port once.
    """
    with store.read() as session:
        placement = lookup.placement(session, app, env)
        port = _spec(placement).for_environment(env).port
        ports = {
            host: _port(session, placement, host, name, port) for host, name in sorted(containers.items())
        }
        known = dict(placement.attrs.get(TAKES_OVER) or {})
    wanted = [
        Wanted("placement", {f"attrs.{TAKES_OVER}": {**known, **dict(containers)}}, f"{app}@{env}"),
        *(
            Wanted(
                "allocation",
                {"pool": port_pool(host), "owner": port_owner(app, env, SLOT), "value": number},
            )
            for host, number in ports.items()
        ),
    ]
    return objects.change(store, wanted, reason=reason, ticket=ticket, dry_run=dry_run)


def give_up(
    store: Store,
    app: str,
    env: str,
    hosts: Sequence[str],
    *,
    reason: str,
    ticket: str | None = None,
    dry_run: bool = False,
) -> objects.Outcome:
    """Forget the containers that an app had on hosts; they stay as they are. The slot keeps its port."""
    with store.read() as session:
        known = dict(lookup.placement(session, app, env).attrs.get(TAKES_OVER) or {})
    if strange := [host for host in hosts if host not in known]:
        raise NotFoundError(f"{app} in {env} has no container to take over on host {strange[0]}")
    left = {host: name for host, name in known.items() if host not in hosts}
    wanted = [Wanted("placement", {f"attrs.{TAKES_OVER}": left or None}, f"{app}@{env}")]
    return objects.change(store, wanted, reason=reason, ticket=ticket, dry_run=dry_run)


def _spec(placement: Placement) -> AppSpec:
    version = placement.app.spec_version
    return AppSpec.model_validate(next(one.document for one in placement.app.specs if one.number == version))


def _port(session: Session, placement: Placement, host: str, name: str, port: int) -> int:
    """Return the host port of a container that an app has on a host."""
    app, env = placement.app.name, placement.environment.name
    row = lookup.host(session, host)
    if row.name not in {member.host.name for member in placement.members}:
        raise InvalidInputError(
            f"{app} in {env} is not placed on host {host}: `drcloud app assign {app} --env {env} --hosts …`"
        )
    _refuse_instances(session, row, app, env)
    found = _container(session, row, name)
    bound = [one for one in found["ports"] if (one["container"], one["protocol"]) == (port, "tcp")]
    subject = f"container {name} on host {host}"
    if found["ours"]:
        raise InvalidInputError(f"{subject} is an instance that drCloud deployed")
    if found["status"] not in LIVE:
        raise InvalidInputError(f"{subject} is {found['status']}: only what runs has traffic to take over")
    if len(bound) != 1 or not bound[0]["host"]:
        published = ", ".join(
            f"{one['host']}->{one['container']}/{one['protocol']}" for one in found["ports"]
        )
        raise InvalidInputError(
            f"{subject} does not publish port {port} of {app} on one port of the host: "
            f"it publishes {published or 'nothing'}"
        )
    return int(bound[0]["host"])


def _container(session: Session, row: Host, name: str) -> dict[str, Any]:
    facts = session.scalars(select(HostFact.facts).where(HostFact.host_id == row.id)).one_or_none() or {}
    if SURVEY not in facts:
        raise InvalidInputError(f"host {row.name} was never adopted: `drcloud host adopt {row.name}` first")
    seen = {one["name"]: one for one in facts[SURVEY]["containers"]}
    if name not in seen:
        names = ", ".join(sorted(seen)) or "none"
        raise NotFoundError(f"host {row.name} had no container {name} when it was adopted; it had {names}")
    return dict(seen[name])


def _refuse_instances(session: Session, row: Host, app: str, env: str) -> None:
    query = select(Instance.name).where(Instance.host_id == row.id, Instance.app == app, Instance.env == env)
    there = session.scalars(query.limit(1)).first()
    if there is not None:
        raise InvalidInputError(
            f"{app} in {env} was deployed to host {row.name} already (container {there}): "
            "only a first deploy takes over"
        )
