"""The images that somebody may still want: every digest that the CMDB names.

Garbage collection of a registry goes by this, so what is missing here is lost: whatever a deployment or a
channel may go back to has to be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.declared import App, AppSpecVersion, Host, Registry, Release
from drcloud.cmdb.operational import Deployment, DeploymentStep, Instance
from drcloud.cmdb.store import Store

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Named:
    """``digests`` of all apps, and the ``repositories`` that apps of the registries have or ever had."""

    digests: frozenset[str]
    repositories: frozenset[str]


def registries_on(store: Store, host: str) -> list[str]:
    """Return the names of the registries that run on a host."""
    with store.read() as session:
        query = select(Registry.name).join(Registry.host).where(Host.name == host).order_by(Registry.name)
        return list(session.scalars(query))


def images(store: Store, registries: Sequence[str]) -> Named:
    """Return what is named, in one consistent view; NotFoundError for an unknown registry.

    A digest counts whichever registry its app is in: an app may have moved.
    """
    with store.read() as session:
        for name in registries:
            lookup.registry(session, name)
        documents = session.scalars(
            select(AppSpecVersion.document)
            .join(AppSpecVersion.app)
            .join(App.image_registry)
            .where(Registry.name.in_(registries))
        )
        return Named(wanted(_sources(session)), frozenset(document["image"] for document in documents))


def _sources(session: Session) -> Iterator[Any]:
    """Yield all that may name an image.

    Releases, and with them every channel, now and before; deployments of any outcome, with what their
    plans and their steps noted of what ran before; instances that were seen, stopped ones too.
    """
    for column in (Release.digest, Deployment.digest, Instance.digest):
        yield from session.scalars(select(column).distinct())
    yield from session.scalars(select(Deployment.plan))
    yield from session.scalars(select(DeploymentStep.detail))


def wanted(sources: Iterable[Any]) -> frozenset[str]:
    """Return every digest in texts and documents, wherever it stands in them. Pure."""
    return frozenset(digest for source in sources for digest in _digests(source))


def _digests(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from DIGEST.findall(value)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from (*_digests(name), *_digests(part))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _digests(part)
