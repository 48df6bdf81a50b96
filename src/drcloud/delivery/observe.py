"""The observer: what a host says of its containers becomes the CMDB's observed instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from drcloud.cmdb import lookup, observations
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.declared import Allocation, App, AppSpecVersion, Environment, Placement, PlacementHost
from drcloud.cmdb.ipam import SLOTS, port_owner, port_pool
from drcloud.cmdb.operational import Instance
from drcloud.cmdb.store import Store
from drcloud.delivery.slots import ADOPTED

FIELDS = ("name", "app", "env", "slot", "tag", "digest", "revision", "deployment", "status", "health")
NEVER = "0001-"


def record(
    store: Store,
    host: str,
    instances: Iterable[Mapping[str, Any]],
    source: str,
    observed_at: datetime | None = None,
    strangers: Iterable[str] | None = None,
) -> None:
    """Record all instances of a host as ``app_container`` or ``instances_info`` returned them.

    What runs counts, not what a label says of it: where the module tells the digest of the image itself
    (``image_digest``), that one is recorded. The health of an app that was not asked this time stays what
    it was, as long as its instance runs. What was never deployed is no instance. ``strangers`` are the names
    of other containers that run there; a roll asks for none, and what was seen of them last stays.
    """
    ours = [instance for instance in instances if instance["revision"] != ADOPTED]
    known = _health(store, host)
    rows = [_row(instance, known) for instance in ours]
    by_hand = _by_hand(ours, strangers)
    observations.record_instances(store, host, rows, source, observed_at, by_hand)


def _by_hand(
    instances: Iterable[Mapping[str, Any]], strangers: Iterable[str] | None
) -> dict[str, dict[str, list[str]] | list[str]]:
    """Return in which kinds of settings each instance is not what a roll made, and who else is there."""
    kinds = {str(found["name"]): [str(kind) for kind in found.get("differs") or ()] for found in instances}
    differs = {name: differing for name, differing in kinds.items() if differing}
    others = {} if strangers is None else {"strangers": sorted(map(str, strangers))}
    return {"differs": differs, **others}


def _row(instance: Mapping[str, Any], known: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    row: dict[str, Any] = {field: str(instance[field]) for field in FIELDS}
    row["digest"] = str(instance.get("image_digest") or row["digest"])
    started = str(instance.get("started_at") or "")
    row["started_at"] = None if not started or started.startswith(NEVER) else started
    if row["health"] == "unknown":
        row["health"] = known.get((row["name"], row["status"]), "unknown")
    return row


def _health(store: Store, host: str) -> dict[tuple[str, str], str]:
    with store.read() as session:
        rows = session.scalars(select(Instance).where(Instance.host_id == lookup.host(session, host).id))
        return {(row.name, row.status): row.health for row in rows}


def probes(store: Store, host: str) -> list[dict[str, Any]]:
    """Return how to ask the apps that are placed on a host whether they work; NotFoundError for no host.

    Each is app, env, address, slots (the host port of each) and the kind, path, command and timeout
    (seconds) of the health check.
    """
    with store.read() as session:
        row = lookup.host(session, host)
        owned = select(Allocation.owner, Allocation.value).where(Allocation.pool == port_pool(host))
        ports: dict[str, int] = {row.owner: row.value for row in session.execute(owned)}
        present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
        placed = (
            select(App.name, Environment.name, AppSpecVersion.document)
            .select_from(PlacementHost)
            .join(PlacementHost.placement)
            .join(Placement.app)
            .join(Placement.environment)
            .join(AppSpecVersion, present)
            .where(PlacementHost.host_id == row.id)
            .order_by(App.name, Environment.name)
        )
        address = row.address.address if row.address else row.name
        return [_probe(app, env, address, document, ports) for app, env, document in session.execute(placed)]


def _probe(
    app: str, env: str, address: str, document: Mapping[str, Any], ports: Mapping[str, int]
) -> dict[str, Any]:
    health = AppSpec.model_validate(document).for_environment(env).health
    owners = {slot: port_owner(app, env, slot) for slot in SLOTS}
    return {
        "app": app,
        "env": env,
        "address": address,
        "slots": {slot: ports[owner] for slot, owner in owners.items() if owner in ports},
        "kind": health.kind,
        "path": health.path,
        "command": list(health.command or ()),
        "timeout": health.timeout,
    }
