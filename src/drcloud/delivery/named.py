"""The images that somebody may still want: every digest that the CMDB names."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from drcloud.cmdb.declared import App, AppSpecVersion, Registry, Release
from drcloud.cmdb.operational import Deployment, Instance
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Named:
    """``digests`` of all apps, and the ``repositories`` that apps of one registry have or ever had."""

    digests: frozenset[str]
    repositories: frozenset[str]


def images(store: Store, registry: str) -> Named:
    """Return what is named, in one consistent view; NotFoundError for an unknown registry.

    Releases, and with them channels; deployments, for what may be gone back to; observed instances.
    A digest counts whichever registry its app is in: an app may have moved.
    """
    with store.read() as session:
        if session.scalars(select(Registry.id).where(Registry.name == registry)).first() is None:
            raise NotFoundError(f"there is no registry {registry!r} in the CMDB")
        digests = {
            digest
            for column in (Release.digest, Deployment.digest, Instance.digest)
            for digest in session.scalars(select(column).distinct())
        }
        documents = session.scalars(
            select(AppSpecVersion.document)
            .join(AppSpecVersion.app)
            .join(App.image_registry)
            .where(Registry.name == registry)
        )
        return Named(frozenset(digests), frozenset(document["image"] for document in documents))
