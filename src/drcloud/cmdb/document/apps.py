"""Entries of apps and how they are delivered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from drcloud.cmdb.appspec import AppSpec
from drcloud.cmdb.document.values import (
    AppName,
    Attrs,
    Batch,
    Count,
    Digest,
    Entry,
    EnvName,
    HostName,
    Json,
    Port,
    Reference,
    Short,
    Text,
    Truth,
    Word,
)

Number = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]


class EnvironmentEntry(Entry):
    """An environment; with ``change_required`` its writes need an open change."""

    name: EnvName
    change_required: Truth = False
    attrs: Attrs


class RegistryEntry(Entry):
    """An image registry: on a host of the CMDB, or elsewhere by its endpoint."""

    name: Word
    host: HostName | None = None
    endpoint: Text | None = None
    port: Port = 5000
    username: Short | None = None
    password: Reference | None = None
    ca: Reference | None = None
    attrs: Attrs


class AppEntry(Entry):
    """An app; ``registry`` may be left out where there is only one.

    A specification that differs gets the next number; ``spec_version`` says which one it is to be.
    """

    name: AppName
    registry: Word | None = None
    spec_version: Number | None = None
    spec: AppSpec
    attrs: Attrs


class AppSpecVersionEntry(Entry):
    """A former specification of an app; export writes them, so that numbers stay what they are."""

    app: AppName
    number: Number
    document: AppSpec
    attrs: Attrs


class AppConfigEntry(Entry):
    """The configuration of an app in an environment; one that differs gets the next ``number``."""

    app: AppName
    env: EnvName
    number: Number | None = None
    document: Json
    attrs: Attrs


class PlacementEntry(Entry):
    """Where an app runs in an environment, and how a roll may proceed."""

    app: AppName
    env: EnvName
    hosts: Annotated[tuple[HostName, ...], Field(min_length=1)]
    min_in_service: Count = 0
    batch: Batch = 1
    lb_port: Port | None = None
    lbs: tuple[HostName, ...] = ()
    attrs: Attrs

    @property
    def batch_percent(self) -> int | None:
        """Return the share of the hosts that a batch is, where it is no number of them."""
        return int(self.batch.removesuffix("%")) if isinstance(self.batch, str) else None


class ReleaseEntry(Entry):
    """A built image of an app."""

    app: AppName
    tag: Annotated[str, Field(min_length=1, max_length=128)]
    digest: Digest
    git_ref: Text | None = None
    build: Text | None = None
    attrs: Attrs


class ChannelEntry(Entry):
    """A moving tag and the digest it points at."""

    app: AppName
    tag: Annotated[str, Field(min_length=1, max_length=128)]
    release: Annotated[str, Field(min_length=1, max_length=128)]
    digest: Digest
    attrs: Attrs
