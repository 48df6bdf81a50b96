"""The images that somebody may still want: every digest that the CMDB names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from drcloud.cmdb import lookup
from drcloud.cmdb.declared import App, AppSpecVersion, Host, Registry, Release
from drcloud.cmdb.operational import Deployment, Instance
from drcloud.cmdb.store import Store


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

    Releases, and with them channels; deployments, for what may be gone back to; observed instances.
    A digest counts whichever registry its app is in: an app may have moved.
    """
    with store.read() as session:
        for name in registries:
            lookup.registry(session, name)
        digests = {
            digest
            for column in (Release.digest, Deployment.digest, Instance.digest)
            for digest in session.scalars(select(column).distinct())
        }
        documents = session.scalars(
            select(AppSpecVersion.document)
            .join(AppSpecVersion.app)
            .join(App.image_registry)
            .where(Registry.name.in_(registries))
        )
        return Named(frozenset(digests), frozenset(document["image"] for document in documents))
