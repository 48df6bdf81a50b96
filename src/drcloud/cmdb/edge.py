"""The edge of an IDC as plain values: zones, VIPs, declared pools, certificates; one query for each."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import (
    Address,
    App,
    Certificate,
    Environment,
    FirewallZone,
    Host,
    LbPool,
    Placement,
    Prefix,
    Vip,
    VipLb,
    fixed_width,
    moment_text,
)
from drcloud.cmdb.selection import GONE

Kinds = Mapping[str, Mapping[str, Document]]
# The purpose of certificates that all hosts trust.
AUTHORITY = "ca"


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """A firewall zone: the prefixes that lie in it, and the services that are open to them."""

    name: str
    prefixes: tuple[str, ...]
    allows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VipRow:
    """An address that moves between ``lbs``, the first of which has it as long as it is well."""

    name: str
    address: str
    prefix_length: int
    vrrp_id: int | None
    lbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A port of a VIP behind which a placement answers; ``certificate`` is told by its name."""

    vip: str
    port: int
    mode: str
    app: str
    env: str
    certificate: str | None


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate; ``pem`` and ``private_key`` are references, resolved on the controller only."""

    name: str
    subject: str
    issuer: str
    not_after: str
    fingerprint: str
    pem: str | None
    private_key: str | None
    host: str | None
    purpose: str | None


@dataclass(frozen=True, slots=True)
class Edge:
    """All of it; of certificates the CAs and those that pools serve. VIPs and pools may be left out."""

    zones: tuple[ZoneRow, ...] = ()
    vips: tuple[VipRow, ...] = ()
    pools: tuple[PoolRow, ...] = ()
    certificates: tuple[CertificateRow, ...] = ()


def load(session: Session, *, vips: bool = True, pools: bool = True) -> Edge:
    """Read in a view that is open already; pools come with their VIPs."""
    return Edge(
        zones=_zones(session),
        vips=_vips(session) if vips or pools else (),
        pools=_pools(session) if pools else (),
        certificates=_certificates(session),
    )


def past(documents: Kinds) -> Edge:
    """Return what ``load`` would have read of a declared state."""
    return Edge(
        zones=_past_zones(documents),
        vips=_past_vips(documents),
        pools=_past_pools(documents),
        certificates=_past_certificates(documents),
    )


def _zones(session: Session) -> tuple[ZoneRow, ...]:
    columns = (FirewallZone.name, FirewallZone.allows, Prefix.cidr)
    query = select(*columns).outerjoin(Prefix, Prefix.zone_id == FirewallZone.id)
    found: dict[str, tuple[list[str], set[str]]] = {}
    for name, allows, cidr in session.execute(query.order_by(FirewallZone.name)):
        found.setdefault(name, (allows, set()))[1].update([cidr] if cidr else ())
    return tuple(ZoneRow(name, in_order(cidrs), tuple(allows)) for name, (allows, cidrs) in found.items())


def in_order(cidrs: set[str]) -> tuple[str, ...]:
    """Return prefixes by address, the wider first."""
    networks = sorted(
        (fixed_width(network.network_address), network.prefixlen, str(network))
        for network in map(ipaddress.ip_network, cidrs)
    )
    return tuple(text for _, _, text in networks)


def _vips(session: Session) -> tuple[VipRow, ...]:
    columns = (Vip.name, Address.address, Prefix.cidr, Vip.vrrp_id, Host.name)
    carries = and_(Host.id == VipLb.host_id, Host.state != GONE)
    query = select(*columns).join(Vip.address).join(Address.prefix)
    query = query.outerjoin(VipLb, VipLb.vip_id == Vip.id).outerjoin(Host, carries)
    rows = session.execute(query.order_by(Vip.name, VipLb.position)).all()
    lbs: dict[str, tuple[str, ...]] = {}
    for name, *_, lb in rows:
        lbs[name] = (*lbs.get(name, ()), *([lb] if lb else ()))
    known = {
        name: VipRow(name, address, _length(cidr), number, lbs[name])
        for name, address, cidr, number, _ in rows
    }
    return tuple(known.values())


def _length(cidr: str) -> int:
    return int(cidr.rpartition("/")[2])


def _pools(session: Session) -> tuple[PoolRow, ...]:
    columns = (Vip.name, LbPool.port, LbPool.mode, App.name, Environment.name, Certificate.name)
    query = select(*columns).join(LbPool.vip).join(LbPool.placement)
    query = query.join(Placement.app).join(Placement.environment).outerjoin(LbPool.certificate)
    return tuple(PoolRow(*row) for row in session.execute(query.order_by(Vip.name, LbPool.port)))


def _certificates(session: Session) -> tuple[CertificateRow, ...]:
    """Return those that concern more than one host; each host has several of its own beside."""
    columns = [
        Host.name if name == "host" else getattr(Certificate, name) for name in CertificateRow.__slots__
    ]
    query = select(*columns).outerjoin(Certificate.host).order_by(Certificate.name)
    served = select(LbPool.certificate_id).where(LbPool.certificate_id.is_not(None))
    rows = session.execute(query.where(or_(Certificate.purpose == AUTHORITY, Certificate.id.in_(served))))
    named = (dict(zip(CertificateRow.__slots__, row, strict=True)) for row in rows)
    return tuple(CertificateRow(**{**row, "not_after": moment_text(row["not_after"])}) for row in named)


def _past_zones(documents: Kinds) -> tuple[ZoneRow, ...]:
    inside: dict[str, set[str]] = defaultdict(set)
    for row in documents["prefix"].values():
        if row["zone"] is not None:
            inside[row["zone"]].add(row["cidr"])
    return tuple(
        ZoneRow(name, in_order(inside[name]), tuple(row["allows"]))
        for name, row in sorted(documents["firewall_zone"].items())
    )


def _past_vips(documents: Kinds) -> tuple[VipRow, ...]:
    lbs: dict[str, list[str]] = defaultdict(list)
    for row in sorted(documents["vip_lb"].values(), key=lambda row: int(row["position"])):
        if documents["host"][row["host"]]["state"] != GONE:
            lbs[row["vip"]].append(row["host"])
    addresses = documents["address"]
    return tuple(
        VipRow(
            name=name,
            address=addresses[row["address"]]["address"],
            prefix_length=_length(documents["prefix"][addresses[row["address"]]["prefix"]]["cidr"]),
            vrrp_id=row["vrrp_id"],
            lbs=tuple(lbs[name]),
        )
        for name, row in sorted(documents["vip"].items())
    )


def _past_pools(documents: Kinds) -> tuple[PoolRow, ...]:
    rows = [row for row in documents["lb_pool"].values() if row["placement"] is not None]
    return tuple(
        PoolRow(
            row["vip"],
            row["port"],
            row["mode"],
            row["placement"].partition("@")[0],
            row["placement"].partition("@")[2],
            row["certificate"],
        )
        for row in sorted(rows, key=lambda row: (row["vip"], row["port"]))
    )


def _past_certificates(documents: Kinds) -> tuple[CertificateRow, ...]:
    served = {row["certificate"] for row in documents["lb_pool"].values()}
    return tuple(
        CertificateRow(**{field: row[field] for field in CertificateRow.__slots__})
        for name, row in sorted(documents["certificate"].items())
        if row["purpose"] == AUTHORITY or name in served
    )
