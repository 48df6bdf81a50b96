"""All that the CMDB knows of one host: declared, observed, and what follows from both."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import capacity, drift, lookup
from drcloud.cmdb.base import Document, now
from drcloud.cmdb.capacity import Capacity
from drcloud.cmdb.declared import (
    App,
    AppSpecVersion,
    BlockDevice,
    Certificate,
    Environment,
    Host,
    Placement,
    PlacementHost,
    PlacementLb,
    Registry,
    Vip,
    VipLb,
    moment_text,
)
from drcloud.cmdb.drift import Observed, Seen, State
from drcloud.cmdb.operational import HostFact
from drcloud.cmdb.snapshot import BRIDGE, DISK, in_order
from drcloud.cmdb.store import Store


@dataclass(frozen=True, slots=True)
class Placed:
    """An app that the CMDB places on the host, what an instance may use, and what was seen of it."""

    app: str
    env: str
    cpus: float | None
    memory: int | None
    state: State
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Pinned:
    """A pinned host key; ``fingerprint`` as ``ssh-keygen -l`` writes it."""

    type: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class HostCard:
    """A host; times are in UTC, ``observed_at`` is None where nobody looked at it yet.

    ``unplaced`` are containers of apps that no placement puts here.
    """

    name: str
    role: str
    state: str
    place: Document
    ssh: Document
    addresses: tuple[Document, ...]
    tags: tuple[str, ...]
    attrs: Document
    bridges: tuple[Document, ...]
    keys: tuple[Pinned, ...]
    certificates: tuple[Document, ...]
    serves: Document
    facts: Document | None
    facts_at: datetime | None
    observed_at: datetime | None
    capacity: Capacity
    placed: tuple[Placed, ...]
    unplaced: tuple[Document, ...]

    def as_document(self) -> Document:
        """Return it as plain data, for ``--json``; times are ISO 8601."""
        return asdict(self, dict_factory=_plain)


def _plain(items: list[tuple[str, Any]]) -> Document:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in items}


def read(store: Store, name: str) -> HostCard:
    """Return what is known of a host; ``NotFoundError`` names the one that was perhaps meant."""
    with store.read() as session:
        return _card(session, lookup.host(session, name))


def _card(session: Session, host: Host) -> HostCard:
    known = session.scalars(select(HostFact).where(HostFact.host_id == host.id)).one_or_none()
    facts = None if known is None else known.facts
    claims = _claims(session, host)
    observed = drift.read(session, host.name)
    disks = in_order(_disk(one) for one in host.block_devices)
    return HostCard(
        name=host.name,
        role=host.role,
        state=host.state,
        place=_place(host),
        ssh={"user": host.ssh_user, "port": host.ssh_port, "via": host.ssh_via and host.ssh_via.name},
        addresses=tuple(
            {"address": one.address, "purpose": one.purpose, "nic": one.nic and one.nic.name}
            for one in host.addresses
        ),
        tags=tuple(sorted(one.tag.name for one in host.tags)),
        attrs=host.attrs,
        bridges=tuple({name: getattr(one, name) for name in BRIDGE} for one in host.bridges),
        keys=tuple(Pinned(one.type, fingerprint(one.key)) for one in host.keys),
        certificates=_certificates(session, host),
        serves=_serves(session, host),
        facts=facts,
        facts_at=None if known is None else known.observed_at,
        observed_at=observed.looks.get(host.name),
        capacity=capacity.of(facts, claims, disks),
        placed=tuple(_placed(one, host.name, observed) for one in claims),
        unplaced=_unplaced({(one.app, one.env) for one in claims}, observed),
    )


def _disk(row: BlockDevice) -> Document:
    return {**{name: getattr(row, name) for name in DISK}, "app": row.app and row.app.name}


def _place(host: Host) -> Document:
    rack = host.rack
    return {
        "idc": rack and rack.room.idc.code,
        "room": rack and rack.room.code,
        "rack": rack and f"{rack.room.idc.code}/{rack.room.code}/{rack.code}",
        "units": [slot.unit for slot in host.slots],
        "model": host.model and host.model.name,
        "serial": host.serial,
        "asset_tag": host.asset_tag,
    }


def fingerprint(key: str) -> str:
    """Return the fingerprint of an SSH key in base64 (RFC 4648), or the text itself where it is none."""
    try:
        digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
    except binascii.Error:
        return key
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _claims(session: Session, host: Host) -> list[capacity.Claim]:
    present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
    query = select(App.name, Environment.name, AppSpecVersion.document).select_from(PlacementHost)
    query = query.join(PlacementHost.placement).join(Placement.app).join(Placement.environment)
    query = query.join(AppSpecVersion, present).where(PlacementHost.host_id == host.id)
    rows = session.execute(query.order_by(App.name, Environment.name))
    return [capacity.claim(app, env, document) for app, env, document in rows]


def _placed(claim: capacity.Claim, host: str, observed: Observed) -> Placed:
    where = claim.app, claim.env
    seen = drift.pick(observed.instances.get((host, *where), ()))
    state = drift.verdict(observed.desired.get(where), seen, observed.looks.get(host))
    return Placed(claim.app, claim.env, claim.cpus, claim.memory, state, seen)


def _unplaced(placed: set[tuple[str, str]], observed: Observed) -> tuple[Document, ...]:
    return tuple(
        {"app": app, "env": env, **asdict(one, dict_factory=_plain)}
        for (_, app, env), instances in observed.instances.items()
        if (app, env) not in placed
        for one in instances
    )


def _certificates(session: Session, host: Host) -> tuple[Document, ...]:
    """Return the certificates made for a host, the one that expires first first; ``days`` may be negative."""
    query = select(Certificate).where(Certificate.host_id == host.id).order_by(Certificate.not_after)
    return tuple(
        {
            "name": one.name,
            "purpose": one.purpose,
            "subject": one.subject,
            "issuer": one.issuer,
            "not_after": moment_text(one.not_after),
            "days": (one.not_after - now()).days,
        }
        for one in session.scalars(query)
    )


def _serves(session: Session, host: Host) -> Document:
    """Return what others reach at the host: registries, VIPs that it may carry, placements behind it."""
    registries = session.scalars(select(Registry.name).where(Registry.host_id == host.id))
    vips = select(Vip.name).join(VipLb, VipLb.vip_id == Vip.id).where(VipLb.host_id == host.id)
    behind = select(App.name, Environment.name).select_from(PlacementLb).join(PlacementLb.placement)
    behind = behind.join(Placement.app).join(Placement.environment).where(PlacementLb.host_id == host.id)
    return {
        "registries": sorted(registries),
        "vips": sorted(session.scalars(vips)),
        "placements": sorted(f"{app}@{env}" for app, env in session.execute(behind)),
    }
