"""What placements use: by host, VIP and certificate, as far as it concerns certain objects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import (
    App,
    AppSpecVersion,
    Certificate,
    Environment,
    Host,
    LbPool,
    Placement,
    PlacementHost,
    PlacementLb,
    Vip,
)

# Both engines take this many names in one query.
CHUNK = 500

Places = Mapping[str, set[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Usage:
    """Apps with their environments by host, by VIP and by certificate; environments and versions by app."""

    hosts: Places = field(default_factory=lambda: defaultdict(set))
    vips: Places = field(default_factory=lambda: defaultdict(set))
    certificates: Places = field(default_factory=lambda: defaultdict(set))
    apps: Places = field(default_factory=lambda: defaultdict(set))
    specs: Mapping[tuple[str, int], AppSpec] = field(default_factory=dict)


def read(session: Session, written: Collection[tuple[str, Document]]) -> Usage:
    """Read what placements use of objects that are written, each a kind with its fields."""
    names: dict[str, set[str]] = defaultdict(set)
    for kind, fields in written:
        for one in ("host", "vip", "certificate", "app"):
            if name := fields.get("name" if kind == one else one):
                names[one].add(name)
    usage = Usage(specs=dict(_specs(session, written)))
    for join in (PlacementHost, PlacementLb):
        used = _placed(Host.name).join(join, join.placement_id == Placement.id).join(join.host)
        _collect(session, used, Host.name, names["host"], usage.hosts)
    pools = LbPool.placement_id == Placement.id
    vips = _placed(Vip.name).join(LbPool, pools).join(LbPool.vip)
    _collect(session, vips, Vip.name, names["vip"], usage.vips)
    certificates = _placed(Certificate.name).join(LbPool, pools).join(LbPool.certificate)
    _collect(session, certificates, Certificate.name, names["certificate"], usage.certificates)
    _collect(session, _placed(App.name), App.name, names["app"], usage.apps)
    return usage


def _specs(
    session: Session, written: Iterable[tuple[str, Document]]
) -> Iterator[tuple[tuple[str, int], AppSpec]]:
    """Yield the versions of specifications that written apps had and have, or would have."""
    stored = select(AppSpecVersion.document).join(AppSpecVersion.app)
    for kind, fields in written:
        if kind == "app_spec_version":
            yield (fields["app"], fields["number"]), AppSpec.model_validate(fields["document"])
        if kind == "app":
            name, number = fields["name"], fields["spec_version"]
            query = stored.where(App.name == name, AppSpecVersion.number == number)
            for document in session.scalars(query):
                yield (name, number), AppSpec.model_validate(document)


def _placed(name: InstrumentedAttribute[str]) -> Select[str, str, str]:
    """Return the query of a name with the app and the environment of its placements."""
    query = select(name, App.name.label("app"), Environment.name.label("environment"))
    return query.select_from(Placement).join(Placement.app).join(Placement.environment)


def _collect(
    session: Session,
    query: Select[str, str, str],
    name: InstrumentedAttribute[str],
    wanted: set[str],
    into: Places,
) -> None:
    names = sorted(wanted)
    for start in range(0, len(names), CHUNK):
        for owner, app, environment in session.execute(query.where(name.in_(names[start : start + CHUNK]))):
            into[owner].add((app, environment))
