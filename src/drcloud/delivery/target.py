"""What a deploy is about: app, hosts and the one digest, found and checked before anything acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from drcloud.cmdb import lookup, observations, snapshot
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.hosts import is_away
from drcloud.cmdb.snapshot import AppRow, HostRow, PlacementRow, RegistryRow, Snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, platforms, quarantine, settings, storage
from drcloud.delivery.fingerprints import Taken
from drcloud.delivery.manifest import Manifest
from drcloud.delivery.registry import Registry, check_tag
from drcloud.delivery.revision import NOT_RUNNING, revision
from drcloud.delivery.settings import Settings
from drcloud.delivery.stable import Recorded
from drcloud.errors import InvalidInputError, NotFoundError

ROLLABLE = "active"


@dataclass(frozen=True, slots=True)
class Place:
    """A host of the placement: where its instances are reached."""

    address: str
    rack: str | None
    slots: dict[str, int]
    # The container in slot a that somebody else started, if any.
    takes_over: str = ""


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
    # Whether the hosts of the placement, of which these may be some, stand in more than one rack.
    spans_racks: bool = False
    canary_watch: float = 0.0
    config_version: int = 0
    # Where the secrets are and their fingerprints, never what they are.
    secrets: dict[str, Taken] = field(default_factory=dict)
    # What has to be pulled: the bytes of each layer by the digest of its content, where a registry was asked.
    layers: dict[str, int] = field(default_factory=dict)
    # What is run before and after: no part of what runs, so not of the revision either.
    hooks: tuple[dict[str, Any], ...] = ()
    # The load balancers that are declared out of service and not asked, each with its state.
    lbs_away: tuple[str, ...] = ()

    def hooks_of(self, when: str, per: str) -> list[dict[str, Any]]:
        """Return the hooks of a moment, in their order."""
        return [hook for hook in self.hooks if (hook["when"], hook["per"]) == (when, per)]

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the CMDB says of an app in an environment.

    ``away`` counts its quarantined hosts, ``racks`` those that all of its hosts stand in. ``placement`` has
    the load balancers that are in service, ``lbs_away`` tells of the others.
    """

    app: AppRow
    placement: PlacementRow
    registry: RegistryRow
    hosts: dict[str, HostRow]
    away: int = 0
    racks: int = 1
    settings: Settings = field(default_factory=Settings)
    # What `uname -m` said on them, as far as they were ever looked at.
    machines: dict[str, str] = field(default_factory=dict)
    lbs_away: tuple[str, ...] = ()

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
        given = settings.read(session, app, env)
    wanted = choose(snapshot.read(store), app, env, only)
    for row in wanted.hosts.values():
        storage.require(wanted.spec, app, row)
    given = settings.with_secrets(given, wanted.spec, app, env)
    return replace(wanted, settings=given, machines=observations.machines(store, wanted.hosts))


def choose(seen: Snapshot, app: str, env: str, only: Sequence[str] = ()) -> Wanted:
    """Return the part of a snapshot that a deploy needs; ``only`` narrows it to some hosts."""
    placement = next(row for row in seen.placements if (row.app, row.env) == (app, env))
    strange = [name for name in only if name not in placement.hosts]
    if strange:
        raise NotFoundError(
            f"host {strange[0]} does not run {app} in {env}: the placement has {', '.join(placement.hosts)}"
        )
    rows = {row.name: row for row in seen.hosts}
    away = [name for name in placement.hosts if rows[name].state == quarantine.QUARANTINED]
    names = [name for name in placement.hosts if (name in only if only else name not in away)]
    if not names:
        raise NotFoundError(
            f"all hosts of {app} in {env} are quarantined: name those that answer again with `--limit`"
            if away
            else f"the placement of {app} in {env} has no hosts: add some to the CMDB file and import it"
        )
    for name in names:
        _check_host(rows[name], placement)
    wanted = next(row for row in seen.apps if row.name == app)
    registry = next(row for row in seen.registries if row.name == wanted.registry)
    racks = len({rows[name].rack for name in placement.hosts})
    placement, lbs_away = _without_away(placement, rows)
    here = {name: rows[name] for name in names}
    return Wanted(wanted, placement, registry, here, len(away), racks, lbs_away=lbs_away)


def _without_away(
    placement: PlacementRow, rows: Mapping[str, HostRow]
) -> tuple[PlacementRow, tuple[str, ...]]:
    """Return the placement without the load balancers that are declared out of service, and tell of these."""
    away = {name: rows[name].state for name in placement.lbs if is_away(rows[name].state)}
    told = tuple(f"{name} is {state}" for name, state in away.items())
    left = tuple(name for name in placement.lbs if name not in away)
    if away and not left:
        raise InvalidInputError(
            f"all load balancers of {placement.app} in {placement.env} are declared out of service "
            f"({', '.join(told)}): bring one back first (`drcloud cmdb set host NAME state=active`)"
        )
    return replace(placement, lbs=left), told


def _check_host(host: HostRow, placement: PlacementRow) -> None:
    if host.state != ROLLABLE and not quarantine.is_ours(host.state, host.attrs):
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
    with Registry.of(wanted.registry) as registry:
        manifest = registry.manifest(wanted.app.name, wanted.spec.image, tag)
        return _measured(wanted, target(wanted, tag, manifest.digest), registry, manifest)


def measured(wanted: Wanted, found: Target, *, quick: bool = False) -> Target:
    """Ask the registry about a digest that is known already; errors as of ``resolve``.

    Where it is to be ``quick``, a registry that is silent is not waited for long.
    """
    with Registry.of(wanted.registry, quick=quick) as registry:
        manifest = registry.manifest(found.app, _repository(found.image), found.digest)
        return _measured(wanted, found, registry, manifest)


def _measured(wanted: Wanted, found: Target, registry: Registry, manifest: Manifest) -> Target:
    repository = _repository(found.image)
    if wanted.machines:
        built_for = registry.platforms(repository, manifest)
        platforms.refuse(f"{found.app} {found.tag}", built_for, wanted.machines)
    return replace(found, layers=registry.layers(repository, manifest))


def _repository(image: str) -> str:
    """Return the repository of an image that is named in full."""
    return image.partition("/")[2].partition("@")[0]


def recorded(store: Store, wanted: Wanted, past: Recorded) -> Target:
    """Return what a deployment rolled, on the hosts of today: its digest and settings, asked of nobody.

    Secrets are read anew: a rollback does not bring back one that was replaced.
    """
    app, env = wanted.app.name, wanted.placement.env
    with store.read() as session:
        document = next(
            row.document for row in lookup.app(session, app).specs if row.number == past.spec_version
        )
        given = settings.read(session, app, env, past.config_version)
    then = replace(wanted, app=replace(wanted.app, spec=dict(document), spec_version=past.spec_version))
    then = replace(then, settings=settings.with_secrets(given, then.spec, app, env))
    return target(then, past.tag, past.digest)


def target(wanted: Wanted, tag: str, digest: str) -> Target:
    """Return what shall run for a digest. Pure."""
    spec, placement, given = wanted.spec, wanted.placement, wanted.settings
    placed = len(placement.hosts) - wanted.away
    return Target(
        app=wanted.app.name,
        env=placement.env,
        tag=tag,
        digest=digest,
        revision=revision(digest, spec, config_version=given.config_version, secrets=given.marks),
        image=f"{wanted.registry.endpoint}/{spec.image}@{digest}",
        spec=given.applied(spec).model_dump(mode="json", exclude=set(NOT_RUNNING), exclude_none=True),
        spec_version=wanted.app.spec_version,
        hosts={
            name: Place(
                row.address or name,
                row.rack,
                dict(placement.ports[name]),
                placement.takes_over.get(name, ""),
            )
            for name, row in wanted.hosts.items()
        },
        lbs=placement.lbs,
        pool=haproxy.pool_name(placement.app, placement.env),
        min_in_service=placement.min_in_service,
        batch=_batch(placement, placed),
        placed=placed,
        spans_racks=wanted.racks > 1,
        canary_watch=spec.canary_watch,
        config_version=given.config_version,
        secrets=dict(given.secrets),
        hooks=tuple(hook.model_dump(mode="json") for hook in spec.hooks),
        lbs_away=wanted.lbs_away,
    )


def _batch(placement: PlacementRow, placed: int) -> int:
    """Return how many hosts a roll may change at once: of a share the whole ones, and one at least."""
    if placement.batch_percent is None:
        return placement.batch
    return max(1, placed * placement.batch_percent // 100)
