"""Apps and how they are delivered: registry, specification, configuration, placement, release, channel."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from drcloud.cmdb.base import Base, Declared, Document, JsonDocument, Natural
from drcloud.cmdb.declared.machines import Host

TIERS = ("frontend", "backend", "component", "database")


class Environment(Declared, Base):
    """develop, qa, stage, prod. Where ``change_required``, writes need an open change ticket."""

    __tablename__ = "environment"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(32), unique=True)
    change_required: Mapped[bool] = mapped_column(default=False)


class Registry(Declared, Base):
    """An image registry. Password and CA are references, never values."""

    __tablename__ = "registry"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    endpoint: Mapped[str | None] = mapped_column(String(255))
    port: Mapped[int] = mapped_column(default=5000)
    username: Mapped[str | None] = mapped_column(String(64))
    password: Mapped[str | None] = mapped_column(String(255))
    ca: Mapped[str | None] = mapped_column(String(255))
    host: Mapped[Host | None] = relationship()


class App(Declared, Base):
    """What is delivered. Its settings are in versioned ``AppSpecVersion`` rows."""

    __tablename__ = "app"
    natural = Natural(("name",))
    name: Mapped[str] = mapped_column(String(64), unique=True)
    registry_id: Mapped[int] = mapped_column(ForeignKey("registry.id"))
    spec_version: Mapped[int] = mapped_column(default=1)
    # SQLAlchemy keeps the name `registry` for itself.
    image_registry: Mapped[Registry] = relationship()
    specs: Mapped[list[AppSpecVersion]] = relationship(
        back_populates="app", cascade="all, delete-orphan", order_by="AppSpecVersion.number"
    )
    configs: Mapped[list[AppConfig]] = relationship(
        back_populates="app", cascade="all, delete-orphan", order_by="AppConfig.number"
    )


class AppSpecVersion(Declared, Base):
    """One version of an app's specification document (see ``drcloud.cmdb.appspec``).

    Never updated, and kept once the app was deployed; the database sees to it.
    """

    __tablename__ = "app_spec_version"
    natural = Natural(("app", "number"))
    __table_args__ = (UniqueConstraint("app_id", "number"),)
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    number: Mapped[int]
    document: Mapped[Document] = mapped_column(JsonDocument)
    app: Mapped[App] = relationship(back_populates="specs")


class AppConfig(Declared, Base):
    """One version of an app's configuration in an environment; the highest number is the present one.

    Never updated, and kept once the app was deployed; the database sees to it.
    """

    __tablename__ = "app_config"
    natural = Natural(("app", "environment", "number"))
    __table_args__ = (
        UniqueConstraint("app_id", "environment_id", "number"),
        CheckConstraint("number >= 1", name="number"),
    )
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    number: Mapped[int]
    document: Mapped[Document] = mapped_column(JsonDocument)
    app: Mapped[App] = relationship(back_populates="configs")
    environment: Mapped[Environment] = relationship()


class Placement(Declared, Base):
    """Which hosts run an app in an environment, how many must stay in service, how a roll may proceed."""

    __tablename__ = "placement"
    natural = Natural(("app", "environment"), "@")
    __table_args__ = (
        UniqueConstraint("app_id", "environment_id"),
        CheckConstraint("min_in_service >= 0 AND batch >= 1", name="roll"),
    )
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id"))
    min_in_service: Mapped[int] = mapped_column(default=0)
    batch: Mapped[int] = mapped_column(default=1)
    lb_port: Mapped[int | None]
    app: Mapped[App] = relationship()
    environment: Mapped[Environment] = relationship()
    members: Mapped[list[PlacementHost]] = relationship(
        back_populates="placement", cascade="all, delete-orphan", order_by="PlacementHost.position"
    )
    lbs: Mapped[list[PlacementLb]] = relationship(
        back_populates="placement", cascade="all, delete-orphan", order_by="PlacementLb.position"
    )


class PlacementHost(Declared, Base):
    """A host that runs the placement's app."""

    __tablename__ = "placement_host"
    natural = Natural(("placement", "host"))
    __table_args__ = (UniqueConstraint("placement_id", "host_id"),)
    placement_id: Mapped[int] = mapped_column(ForeignKey("placement.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    position: Mapped[int]
    host: Mapped[Host] = relationship()
    placement: Mapped[Placement] = relationship(back_populates="members")


class PlacementLb(Declared, Base):
    """A load balancer in front of the placement. Two placements never share a port of one load balancer."""

    __tablename__ = "placement_lb"
    natural = Natural(("placement", "host"))
    __table_args__ = (UniqueConstraint("placement_id", "host_id"), UniqueConstraint("host_id", "port"))
    placement_id: Mapped[int] = mapped_column(ForeignKey("placement.id"))
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    port: Mapped[int]
    position: Mapped[int]
    host: Mapped[Host] = relationship()
    placement: Mapped[Placement] = relationship(back_populates="lbs")


class Release(Declared, Base):
    """App + tag + digest, immutable once set; the same tag may come again with another digest."""

    __tablename__ = "release"
    natural = Natural(("app", "tag", "digest"), ":")
    __table_args__ = (
        UniqueConstraint("app_id", "tag", "digest"),
        CheckConstraint("digest LIKE 'sha256:%'", name="digest"),
    )
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    tag: Mapped[str] = mapped_column(String(128))
    digest: Mapped[str] = mapped_column(String(71))
    git_ref: Mapped[str | None] = mapped_column(String(255))
    build: Mapped[str | None] = mapped_column(String(255))
    app: Mapped[App] = relationship()


class Channel(Declared, Base):
    """A moving tag of an app and the release it points at now."""

    __tablename__ = "channel"
    natural = Natural(("app", "tag"), ":")
    __table_args__ = (UniqueConstraint("app_id", "tag"),)
    app_id: Mapped[int] = mapped_column(ForeignKey("app.id"))
    tag: Mapped[str] = mapped_column(String(128))
    release_id: Mapped[int] = mapped_column(ForeignKey("release.id"))
    app: Mapped[App] = relationship()
    release: Mapped[Release] = relationship()
