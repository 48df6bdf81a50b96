"""What the CMDB says of an app: its specification, and where and how it runs, environment by environment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup
from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.base import Document
from drcloud.cmdb.declared import (
    App,
    AppConfig,
    AppSpecVersion,
    Channel,
    Environment,
    Placement,
    Registry,
    Release,
)
from drcloud.cmdb.snapshot import batch_percent
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError

# The moving tag of an environment is its own name; what is developed is called otherwise.
CHANNELS = {"develop": "latest"}


@dataclass(frozen=True, slots=True)
class AppLine:
    """An app in a list."""

    name: str
    registry: str
    image: str
    tier: str
    spec_version: int
    environments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """A moving tag, and the release that it points at now."""

    tag: str
    release: str
    digest: str


@dataclass(frozen=True, slots=True)
class PlaceCard:
    """Where an app runs in an environment; ``config_version`` is 0 where it has no configuration."""

    env: str
    hosts: tuple[str, ...]
    min_in_service: int
    batch: int | str
    lb_port: int | None
    lbs: tuple[str, ...]
    config_version: int
    channel: ChannelCard | None


@dataclass(frozen=True, slots=True)
class AppCard:
    """An app with everything that is declared of it; ``spec`` holds what is not at its default."""

    name: str
    registry: str
    spec_version: int
    spec_versions: tuple[int, ...]
    spec: Document
    placements: tuple[PlaceCard, ...]
    channels: tuple[ChannelCard, ...]
    attrs: Document

    def as_document(self) -> dict[str, Any]:
        """Return it as plain data, for ``--json``."""
        return asdict(self)


def listed(store: Store) -> list[AppLine]:
    """Return all apps by name."""
    with store.read() as session:
        environments: dict[str, list[str]] = {}
        placed = select(App.name, Environment.name).select_from(Placement)
        placed = placed.join(Placement.app).join(Placement.environment).order_by(Environment.id)
        for app, env in session.execute(placed):
            environments.setdefault(app, []).append(env)
        present = (AppSpecVersion.app_id == App.id) & (AppSpecVersion.number == App.spec_version)
        query = select(App.name, Registry.name, AppSpecVersion.document, App.spec_version)
        query = query.join(App.image_registry).join(AppSpecVersion, present).order_by(App.name)
        return [
            AppLine(name, registry, spec["image"], spec["tier"], number, tuple(environments.get(name, ())))
            for name, registry, spec, number in session.execute(query)
        ]


def read(store: Store, name: str, version: int | None = None) -> AppCard:
    """Return an app; ``version`` shows a former specification. ``NotFoundError`` for unknown names."""
    with store.read() as session:
        app = lookup.app(session, name)
        numbers = tuple(spec.number for spec in app.specs)
        wanted = app.spec_version if version is None else version
        spec = next((spec.document for spec in app.specs if spec.number == wanted), None)
        if spec is None:
            known = ", ".join(map(str, numbers))
            raise NotFoundError(f"app {name} has no specification {wanted}: it has {known}")
        channels = {
            channel.tag: ChannelCard(channel.tag, channel.release.tag, channel.release.digest)
            for channel in session.scalars(
                select(Channel)
                .where(Channel.app_id == app.id)
                .join(Release, Channel.release)
                .order_by(Channel.tag)
            )
        }
        return AppCard(
            name=name,
            registry=app.image_registry.name,
            spec_version=wanted,
            spec_versions=numbers,
            spec=AppSpec.model_validate(spec).model_dump(mode="json", exclude_defaults=True),
            placements=_places(session, app, channels),
            channels=tuple(channels.values()),
            attrs=app.attrs,
        )


def _places(session: Session, app: App, channels: dict[str, ChannelCard]) -> tuple[PlaceCard, ...]:
    newest = select(AppConfig.environment_id, func.max(AppConfig.number)).where(AppConfig.app_id == app.id)
    configs = {row[0]: row[1] for row in session.execute(newest.group_by(AppConfig.environment_id))}
    query = select(Placement).where(Placement.app_id == app.id).order_by(Placement.environment_id)
    return tuple(
        PlaceCard(
            env=row.environment.name,
            hosts=tuple(member.host.name for member in row.members),
            min_in_service=row.min_in_service,
            batch=row.batch if (percent := batch_percent(row.attrs)) is None else f"{percent}%",
            lb_port=row.lb_port,
            lbs=tuple(lb.host.name for lb in row.lbs),
            config_version=configs.get(row.environment_id, 0),
            channel=channels.get(CHANNELS.get(row.environment.name, row.environment.name)),
        )
        for row in session.scalars(query)
    )
