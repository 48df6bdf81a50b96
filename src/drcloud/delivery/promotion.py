"""Promotion: a channel moves to an image that the registry has already, by digest.

Read: what the source tag names, what the channel's tag names in the registry, and what the CMDB says of
both. Plan (pure): what has to move. Apply: the registry first, then the CMDB in one unit of work. A
promotion that ended between the two is finished by the same one again, for each half is compared alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from drcloud.cmdb import actor, leases, lookup
from drcloud.cmdb.store import Store
from drcloud.delivery import releases, repository
from drcloud.delivery.manifest import Manifest
from drcloud.delivery.registry import Registry, check_reference, check_tag
from drcloud.delivery.releases import Provenance
from drcloud.errors import CmdbError, DrcloudError, InvalidInputError

# Longer than all that is asked of a registry may take; nobody renews it.
TTL = timedelta(minutes=2)
PURPOSE = 255


@dataclass(frozen=True, slots=True)
class Request:
    """Move the channel ``to`` of an app to what ``source`` names, a tag or a digest."""

    app: str
    source: str
    to: str
    reason: str | None = None
    ticket: str | None = None

    @property
    def why(self) -> str:
        """Return the reason for the change log."""
        return self.reason or f"promoted {self.app} {self.source} to {self.to}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the CMDB says: the channel's digest, whether it is a release, and where the image came from.

    ``noted`` is whether what the registry serves under the channel's tag is on record, to go back to.
    """

    channel: str | None
    released: bool
    noted: bool
    origin: Provenance


@dataclass(frozen=True, slots=True)
class Promotion:
    """What has to be done, or was. ``before`` is what the registry served under the channel's tag."""

    app: str
    source: str
    channel: str
    image: str
    registry: str
    digest: str
    media_type: str
    before: str | None
    recorded: str | None
    git_ref: str | None
    build: str | None
    moves: bool
    records: bool
    notes: bool

    @property
    def changed(self) -> bool:
        """Whether anything has to be done."""
        return self.moves or self.records

    def diff(self) -> tuple[dict[str, str | None], dict[str, str | None]]:
        """Return the digests of the channel before and after, in the registry and in the CMDB."""
        return (
            {"registry": self.before, "cmdb": self.recorded},
            {"registry": self.digest, "cmdb": self.digest},
        )

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "app": self.app,
            "source": self.source,
            "channel": self.channel,
            "image": f"{self.image}@{self.digest}",
            "registry": self.registry,
            "digest": self.digest,
            "media_type": self.media_type,
            "before": self.before,
            "recorded_before": self.recorded,
            "git_ref": self.git_ref,
            "build": self.build,
            "changed": self.changed,
        }


def promote(store: Store, request: Request, *, check: bool = False) -> Promotion:
    """Move a channel, or with ``check`` only tell what would be moved.

    The source is resolved once. Raises NotFoundError for an unknown app or tag, DeniedError where policy
    wants a change, RegistryDeniedError, RegistryReadOnlyError and UnreachableError for the registry's
    part, and LockedError while somebody else moves the same channel.
    """
    _check(request)
    app, row = repository.find(store, request.app)
    place = str(app.spec["image"])
    with Registry.of(row) as registry:
        manifest = registry.manifest(request.app, place, request.source)
        with _alone(store, request, manifest.digest, check):
            served = registry.known_digest(place, request.to)
            planned = plan(
                request,
                manifest,
                served,
                _recorded(store, request, manifest.digest, served),
                image=f"{row.endpoint}/{place}",
                registry=row.name,
            )
            if planned.changed:
                releases.allow(store, request.app, request.to, request.ticket)
            if not check:
                _apply(store, request, planned, registry, place, manifest)
    return planned


def plan(
    request: Request, manifest: Manifest, served: str | None, recorded: Recorded, *, image: str, registry: str
) -> Promotion:
    """Compare what is wanted with the registry and with the CMDB, each on its own. Pure."""
    digest = manifest.digest
    moves = served != digest
    return Promotion(
        app=request.app,
        source=request.source,
        channel=request.to,
        image=image,
        registry=registry,
        digest=digest,
        media_type=manifest.media_type,
        before=served,
        recorded=recorded.channel,
        git_ref=recorded.origin.git_ref,
        build=recorded.origin.build,
        moves=moves,
        records=recorded.channel != digest or not recorded.released,
        notes=moves and served is not None and not recorded.noted,
    )


def _check(request: Request) -> None:
    check_reference(request.source)
    check_tag(request.to)
    if request.source == request.to:
        raise InvalidInputError(f"{request.to} is promoted to itself: name the tag to move it to")


@contextmanager
def _alone(store: Store, request: Request, digest: str, check: bool) -> Iterator[None]:
    """Hold the channel. The holder is what is done: the same promotion again joins one that was killed."""
    if check:
        yield
        return
    name = f"channel:{request.app}:{request.to}"
    done = hashlib.sha256(f"{name} {digest}".encode()).hexdigest()
    holder, purpose = f"promotion {done[:12]}", f"{request.app} {request.source} to {request.to}"
    leases.acquire(
        store, [(name, True)], holder=holder, purpose=f"{purpose} by {actor.current()}"[:PURPOSE], ttl=TTL
    )
    try:
        yield
    finally:
        # It ends by itself where the CMDB has gone away, and what went wrong is told by whoever noticed.
        with suppress(CmdbError):
            leases.release(store, holder)


def _recorded(store: Store, request: Request, digest: str, served: str | None) -> Recorded:
    with store.read() as session:
        app = lookup.app(session, request.app)
        channel = releases.channel(session, app, request.to)
        return Recorded(
            channel=channel.release.digest if channel else None,
            released=releases.noted(session, app, request.to, digest) is not None,
            noted=served is not None and releases.noted(session, app, request.to, served) is not None,
            origin=releases.origin(session, app, digest, request.source),
        )


def _apply(
    store: Store, request: Request, planned: Promotion, registry: Registry, place: str, manifest: Manifest
) -> None:
    if planned.notes and planned.before:
        _note(store, request, planned.before)
    if planned.moves:
        registry.point(place, request.to, manifest)
    if not planned.records:
        return
    try:
        with store.write(reason=request.why, ticket=request.ticket) as session:
            app = lookup.app(session, request.app)
            origin = releases.origin(session, app, planned.digest, request.source)
            releases.put(session, app, request.to, planned.digest, origin)
    except DrcloudError as error:
        raise type(error)(
            f"{request.to} of {request.app} is {planned.digest} in registry {planned.registry} now, but "
            f"the CMDB was not told: {error}; promote again, that finishes it"
        ) from error


def _note(store: Store, request: Request, digest: str) -> None:
    """Put on record what somebody pushed past drCloud, before its tag goes: now it can be gone back to."""
    reason = f"found under {request.app}:{request.to} in the registry, before: {request.why}"
    with store.write(reason=reason, ticket=request.ticket) as session:
        app = lookup.app(session, request.app)
        if releases.noted(session, app, request.to, digest) is None:
            releases.note(session, app, request.to, digest, Provenance())
