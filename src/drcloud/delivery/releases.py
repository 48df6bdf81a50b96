"""Releases: which image a tag meant, when, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.declared import App, Channel, Release
from drcloud.cmdb.store import Store


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


def record(
    store: Store, app: str, tag: str, digest: str, *, git_ref: str | None = None, build: str | None = None
) -> bool:
    """Record that a tag of an app now means a digest; return whether that is news.

    A release is immutable: pushing the same tag again with another digest makes another release, and the
    channel of the tag moves to it.
    """
    with store.write(reason=f"pushed {app}:{tag}") as session:
        row = lookup.app(session, app)
        found = _release(session, row, tag, digest)
        release = found or Release(app=row, tag=tag, digest=digest, git_ref=git_ref, build=build)
        session.add(release)
        session.flush()
        moved = _point(session, row, tag, release)
    return found is None or moved


def _release(session: Session, app: App, tag: str, digest: str) -> Release | None:
    wanted = select(Release).where(Release.app_id == app.id, Release.tag == tag, Release.digest == digest)
    return session.scalars(wanted).one_or_none()


def _point(session: Session, app: App, tag: str, release: Release) -> bool:
    channel = session.scalars(
        select(Channel).where(Channel.app_id == app.id, Channel.tag == tag)
    ).one_or_none()
    if channel is None:
        session.add(Channel(app=app, tag=tag, release=release))
        return True
    if channel.release_id == release.id:
        return False
    channel.release = release
    return True


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
    return ReleaseRow(row.app.name, row.tag, row.digest, row.git_ref, row.build, row.created_at, current)
