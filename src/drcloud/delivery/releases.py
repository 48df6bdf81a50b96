"""Releases: which image a tag meant, when, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import actor, lookup, outbox, policy
from drcloud.cmdb.declared import App, Channel, Release
from drcloud.cmdb.store import Store

PROMOTED_FROM = "promoted_from"


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as the command shows it; ``current`` tells whether its tag still means it."""

    app: str
    tag: str
    digest: str
    git_ref: str | None
    build: str | None
    created_at: datetime
    current: bool
    promoted_from: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an image came from: a commit, a build, and the tag that it was promoted from."""

    git_ref: str | None = None
    build: str | None = None
    promoted_from: str | None = None


def record(
    store: Store,
    app: str,
    tag: str,
    digest: str,
    *,
    git_ref: str | None = None,
    build: str | None = None,
    reason: str | None = None,
    ticket: str | None = None,
) -> bool:
    """Record that a tag of an app now means a digest; return whether that is news.

    A release is immutable: pushing the same tag again with another digest makes another release, and the
    channel of the tag moves to it.
    """
    with store.write(reason=reason or f"pushed {app}:{tag}", ticket=ticket) as session:
        return put(session, lookup.app(session, app), tag, digest, Provenance(git_ref, build))


def allow(store: Store, app: str, tag: str, ticket: str | None) -> None:
    """Raise DeniedError where policy would not let the channel of a tag be moved under this ticket.

    A channel belongs to the environment of its name. This is asked before a registry is touched, which
    knows nothing of changes; the write itself is judged again.
    """
    with store.read() as session:
        row = policy.Row("channel", f"{app}:{tag}", None, {"app": app, "tag": tag})
        policy.enforce(session, policy.guard(session, ticket or actor.ticket()), [row])


def put(session: Session, app: App, tag: str, digest: str, origin: Provenance) -> bool:
    """Do what ``record`` does in a unit of work that is there; tell of a channel that moved."""
    found = noted(session, app, tag, digest)
    release = found or note(session, app, tag, digest, origin)
    session.flush()
    moved, before = _point(session, app, tag, release)
    if moved:
        told = {"app": app.name, "channel": tag, "digest": digest, "before": before}
        outbox.publish(session, f"app:{app.name}", "channel.moved", told)
    return found is None or moved


def noted(session: Session, app: App, tag: str, digest: str) -> Release | None:
    """Return the release of a tag and a digest, if it is on record."""
    wanted = select(Release).where(Release.app_id == app.id, Release.tag == tag, Release.digest == digest)
    return session.scalars(wanted).one_or_none()


def note(session: Session, app: App, tag: str, digest: str, origin: Provenance) -> Release:
    """Put a release on record, without a channel that points at it."""
    attrs = {PROMOTED_FROM: origin.promoted_from} if origin.promoted_from else {}
    made = Release(app=app, tag=tag, digest=digest, git_ref=origin.git_ref, build=origin.build, attrs=attrs)
    session.add(made)
    return made


def channel(session: Session, app: App, tag: str) -> Channel | None:
    """Return the channel of a tag, if there is one."""
    return session.scalars(select(Channel).where(Channel.app_id == app.id, Channel.tag == tag)).one_or_none()


def _point(session: Session, app: App, tag: str, release: Release) -> tuple[bool, str | None]:
    """Let a channel point at a release; return whether it moved, and the digest that it had before."""
    row = channel(session, app, tag)
    if row is None:
        session.add(Channel(app=app, tag=tag, release=release))
        return True, None
    before = row.release.digest
    if row.release_id == release.id:
        return False, before
    row.release = release
    return True, before


def origin(session: Session, app: App, digest: str, tag: str) -> Provenance:
    """Return where the image of a digest came from, by its release under a tag if it has one there."""
    rows = session.scalars(
        select(Release).where(Release.app_id == app.id, Release.digest == digest).order_by(Release.id)
    ).all()
    best = next((row for row in rows if row.tag == tag), rows[0] if rows else None)
    return Provenance(best.git_ref, best.build, tag) if best else Provenance(promoted_from=tag)


def listed(store: Store, app: str | None = None) -> list[ReleaseRow]:
    """Return the releases of one app or of all, newest first."""
    with store.read() as session:
        wanted = select(Release).order_by(Release.id.desc())
        if app is not None:
            wanted = wanted.where(Release.app_id == lookup.app(session, app).id)
        current = set(session.scalars(select(Channel.release_id)))
        return [_shown(row, row.id in current) for row in session.scalars(wanted)]


def shown(store: Store, app: str, tag: str) -> ReleaseRow:
    """Return the newest release of a tag; NotFoundError names what was perhaps meant."""
    with store.read() as session:
        row = lookup.release(session, lookup.app(session, app), tag)
        current = select(Channel.id).where(Channel.release_id == row.id)
        return _shown(row, session.scalars(current).first() is not None)


def _shown(row: Release, current: bool) -> ReleaseRow:
    return ReleaseRow(
        row.app.name,
        row.tag,
        row.digest,
        row.git_ref,
        row.build,
        row.created_at,
        current,
        row.attrs.get(PROMOTED_FROM),
    )
