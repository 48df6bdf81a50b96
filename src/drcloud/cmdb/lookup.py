"""Find declared rows by name, or say which name is unknown and what was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb.declared import App, AppSpecVersion, Environment, Host, Placement, Registry, Release
from drcloud.errors import NotFoundError


def host(session: Session, name: str) -> Host:
    """Return the host of a name."""
    row = session.scalars(select(Host).where(Host.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(_unknown("host", name, session.scalars(select(Host.name)).all()))
    return row


def app(session: Session, name: str) -> App:
    """Return the app of a name."""
    row = session.scalars(select(App).where(App.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(_unknown("app", name, session.scalars(select(App.name)).all()))
    return row


def environment(session: Session, name: str) -> Environment:
    """Return the environment of a name."""
    row = session.scalars(select(Environment).where(Environment.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(_unknown("environment", name, session.scalars(select(Environment.name)).all()))
    return row


def registry(session: Session, name: str) -> Registry:
    """Return the registry of a name."""
    row = session.scalars(select(Registry).where(Registry.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(_unknown("registry", name, session.scalars(select(Registry.name)).all()))
    return row


def placement(session: Session, app_name: str, env: str) -> Placement:
    """Return where an app runs in an environment; unknown apps and environments are told apart."""
    found = select(Placement).where(
        Placement.app_id == app(session, app_name).id,
        Placement.environment_id == environment(session, env).id,
    )
    row = session.scalars(found).one_or_none()
    if row is None:
        raise NotFoundError(
            f"app {app_name} has no placement in {env}: add one under `placements` to the CMDB file and "
            f"import it, or `drcloud app assign {app_name} --env {env} --hosts …`"
        )
    return row


def spec(session: Session, row: App) -> AppSpecVersion:
    """Return the present specification of an app."""
    number = AppSpecVersion.number == row.spec_version
    return session.scalars(select(AppSpecVersion).where(AppSpecVersion.app_id == row.id, number)).one()


def release(session: Session, row: App, tag: str) -> Release:
    """Return the newest release of an app under a tag."""
    releases = select(Release).where(Release.app_id == row.id)
    newest = releases.where(Release.tag == tag).order_by(Release.id.desc()).limit(1)
    found = session.scalars(newest).one_or_none()
    if found is None:
        tags = session.scalars(select(Release.tag).where(Release.app_id == row.id).distinct()).all()
        hint = meant(tag, tags) or f"build it with `drcloud build {row.name} --tag {tag}`"
        raise NotFoundError(f"app {row.name} has no release {tag!r}: {hint}")
    return found


def meant(name: str, known: Sequence[str]) -> str:
    """Return "did you mean …?" with the names that are close, or nothing."""
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else ""


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    hint = meant(name, known) or f"`drcloud cmdb show {kind}` lists what is known"
    return f"there is no {kind} {name!r} in the CMDB: {hint}"
