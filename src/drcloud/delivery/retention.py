"""Retention: what a host keeps of an app to go back to, as the ledger names it.

``keep`` is pure: it decides from deployments and from what happened on one host. Whatever runs is kept by
the host itself, which knows that better than any ledger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.declared import App, AppSpecVersion, Environment
from drcloud.cmdb.drift import DESIRED
from drcloud.cmdb.operational import Deployment, DeploymentStep
from drcloud.cmdb.snapshot import load
from drcloud.cmdb.store import Store
from drcloud.errors import NothingMatchedError

# The stable revision, and the one before it, which a rollback goes to.
RETAIN = 2
# A step in one of these states has touched its host: what ran before may be wanted again.
TOUCHED = ("claimed", "done", "failed", "reverted", "unreachable")


@dataclass(frozen=True, slots=True)
class Rolled:
    """A deployment of one app in one environment; ``step`` and ``previous`` are of the host in question."""

    revision: str
    digest: str
    state: str
    step: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The revisions of an app in an environment that a host keeps, and the digests of their images."""

    app: str
    env: str
    revisions: frozenset[str]
    digests: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keeping:
    """All that a host keeps; of ``repositories`` it may remove images that nobody keeps."""

    apps: tuple[Kept, ...]
    repositories: frozenset[str]

    def as_document(self) -> dict[str, Any]:
        """Return it as the options of the module ``app_prune``."""
        return {
            "keep": [
                {"app": kept.app, "env": kept.env, "revisions": sorted(kept.revisions)} for kept in self.apps
            ],
            "digests": sorted(frozenset().union(*(kept.digests for kept in self.apps))),
            "repositories": sorted(self.repositories),
        }


def keep(rolled: Sequence[Rolled], retain: int = RETAIN) -> frozenset[str]:
    """Return the revisions that a host keeps, from deployments in their order, oldest first. Pure.

    The last ``retain`` different revisions that were stable; the newest deployment and any that still runs,
    whatever became of them, for they may be gone on with; and what this host ran before it was touched last.
    """
    kept: list[str] = []
    for one in reversed(rolled):
        if one.state in DESIRED and one.revision not in kept and len(kept) < retain:
            kept.append(one.revision)
    named = {*kept, *(one.revision for one in rolled if one.state == "running")}
    named.update(one.revision for one in rolled[-1:])
    touched = [one for one in rolled if one.step in TOUCHED]
    named.update(one.previous for one in touched[-1:] if one.previous)
    named.update(one.previous for one in rolled if one.state == "running" and one.previous)
    return frozenset(named)


def read(store: Store, host: str, retain: int = RETAIN) -> Keeping:
    """Return what a host keeps, in one consistent view.

    NotFoundError for a host that is not known; NothingMatchedError where the ledger knows of no deployment:
    it names nothing to go back to, so everything would look like garbage.
    """
    with store.read() as session:
        lookup.host(session, host)
        apps = tuple(_kept(*where, found, retain) for where, found in _rolled(session, host).items())
        if not apps:
            raise NothingMatchedError(
                "the ledger of this CMDB names no deployment at all, so everything would be garbage; "
                f"nothing is removed on {host}"
            )
        return Keeping(apps, _repositories(session, {kept.app for kept in apps}))


def _kept(app: str, env: str, rolled: Sequence[Rolled], retain: int) -> Kept:
    revisions = keep(rolled, retain)
    digests = frozenset(one.digest for one in rolled if one.revision in revisions)
    return Kept(app, env, revisions, digests)


def _rolled(session: Session, host: str) -> dict[tuple[str, str], list[Rolled]]:
    row = lookup.host(session, host)
    mine = (DeploymentStep.deployment_id == Deployment.id) & (DeploymentStep.host_id == row.id)
    columns = (Deployment.revision, Deployment.digest, Deployment.state)
    query = (
        select(App.name, Environment.name, *columns, DeploymentStep.state, DeploymentStep.previous_revision)
        .join(Deployment.app)
        .join(Deployment.environment)
        .outerjoin(DeploymentStep, mine)
        .order_by(Deployment.id)
    )
    found: dict[tuple[str, str], list[Rolled]] = defaultdict(list)
    for app, env, revision, digest, state, step, previous in session.execute(query):
        found[app, env].append(Rolled(revision, digest, state, step, previous))
    return dict(found)


def _repositories(session: Session, apps: Iterable[str]) -> frozenset[str]:
    """Return under which names these apps' images are pulled, and were by earlier specifications."""
    seen = load(session, parts=frozenset())
    endpoints = {registry.name: registry.endpoint for registry in seen.registries}
    homes = {row.name: endpoints[row.registry] for row in seen.apps if row.name in apps}
    documents = select(App.name, AppSpecVersion.document).join(AppSpecVersion.app)
    return frozenset(
        f"{homes[app]}/{document['image']}"
        for app, document in session.execute(documents.where(App.name.in_(homes)))
    )
