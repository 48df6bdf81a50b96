"""What a deploy is about: app, hosts and the one digest, found and checked before anything acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from drcloud.cmdb import lookup, observations, snapshot
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.snapshot import AppRow, HostRow, PlacementRow, RegistryRow, Snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, platforms
from drcloud.delivery.registry import Registry, check_tag
from drcloud.delivery.revision import NOT_RUNNING, revision
from drcloud.errors import InvalidInputError, NotFoundError

ROLLABLE = "active"


@dataclass(frozen=True, slots=True)
class Place:
    """A host of the placement: where its instances are reached."""

    address: str
    rack: str | None
    slots: dict[str, int]


@dataclass(frozen=True, slots=True)
class Target:
    """A revision and where it shall run. Holds no secret: it travels through Ansible's variables."""

    app: str
    env: str
    tag: str
    digest: str
    revision: str
    image: str
    spec: dict[str, Any]
    spec_version: int
    hosts: dict[str, Place]
    lbs: tuple[str, ...]
    pool: str
    min_in_service: int
    batch: int
    placed: int

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the CMDB says of an app in an environment."""

    app: AppRow
    placement: PlacementRow
    registry: RegistryRow
    hosts: dict[str, HostRow]
    # What `uname -m` said on them, as far as they were ever looked at.
    machines: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> AppSpec:
        """Return the specification for the environment."""
        return AppSpec.model_validate(self.app.spec).for_environment(self.placement.env)


def find(store: Store, app: str, env: str, only: Sequence[str] = ()) -> Wanted:
    """Return what the CMDB says, or say which name is unknown or which host is not ready."""
    with store.read() as session:
        lookup.placement(session, app, env)
        for name in only:
            lookup.host(session, name)
    found = choose(snapshot.read(store), app, env, only)
    return replace(found, machines=observations.machines(store, found.hosts))


def choose(seen: Snapshot, app: str, env: str, only: Sequence[str] = ()) -> Wanted:
    """Return the part of a snapshot that a deploy needs; ``only`` narrows it to some hosts."""
    placement = next(row for row in seen.placements if (row.app, row.env) == (app, env))
    strange = [name for name in only if name not in placement.hosts]
    if strange:
        raise NotFoundError(
            f"host {strange[0]} does not run {app} in {env}: the placement has {', '.join(placement.hosts)}"
        )
    names = [name for name in placement.hosts if not only or name in only]
    if not names:
        raise NotFoundError(
            f"the placement of {app} in {env} has no hosts: add some to the CMDB file and import it"
        )
    rows = {row.name: row for row in seen.hosts}
    for name in names:
        _check_host(rows[name], placement)
    wanted = next(row for row in seen.apps if row.name == app)
    registry = next(row for row in seen.registries if row.name == wanted.registry)
    return Wanted(wanted, placement, registry, {name: rows[name] for name in names})


def _check_host(host: HostRow, placement: PlacementRow) -> None:
    if host.state != ROLLABLE:
        way = (
            "provision it first (`drcloud run dianrong.cloud.provision`)"
            if host.state in ("planned", "provisioning")
            else "bring it back into service, or leave it out with `--limit`"
        )
        raise InvalidInputError(f"host {host.name} is {host.state}, not {ROLLABLE}: {way}")
    if len(placement.ports.get(host.name, {})) < len(("a", "b")):
        raise InvalidInputError(
            f"host {host.name} has no ports for {placement.app} in {placement.env}: import the file again"
        )


def resolve(wanted: Wanted, tag: str) -> Target:
    """Ask the registry what the tag is, once, and return what shall run.

    An image that a host cannot run, for it is of another architecture, is refused here.
    """
    check_tag(tag)
    spec = wanted.spec
    with Registry.of(wanted.registry) as registry:
        manifest = registry.manifest(wanted.app.name, spec.image, tag)
        if wanted.machines:
            built_for = registry.platforms(spec.image, manifest)
            platforms.refuse(f"{wanted.app.name} {tag}", built_for, wanted.machines)
    return target(wanted, tag, manifest.digest)


def target(wanted: Wanted, tag: str, digest: str) -> Target:
    """Return what shall run for a digest. Pure."""
    spec, placement = wanted.spec, wanted.placement
    return Target(
        app=wanted.app.name,
        env=placement.env,
        tag=tag,
        digest=digest,
        revision=revision(digest, spec),
        image=f"{wanted.registry.endpoint}/{spec.image}@{digest}",
        spec=spec.model_dump(mode="json", exclude=set(NOT_RUNNING)),
        spec_version=wanted.app.spec_version,
        hosts={
            name: Place(row.address or name, row.rack, dict(placement.ports[name]))
            for name, row in wanted.hosts.items()
        },
        lbs=placement.lbs,
        pool=haproxy.pool_name(placement.app, placement.env),
        min_in_service=placement.min_in_service,
        batch=placement.batch,
        placed=len(placement.hosts),
    )
