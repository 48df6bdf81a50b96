"""The specification of an app: one versioned document, the same for import, module and command."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# How texts of a specification look, and what to call that.
IMAGE, VARIABLE, MEMORY, PATH = (
    r"^[a-z0-9]+([._/-][a-z0-9]+)*$",
    r"^[A-Za-z_][A-Za-z0-9_]*$",
    r"^[0-9]+[kmg]?$",
    r"^/",
)
WORDS = {
    IMAGE: "a repository without registry and tag, of a-z, 0-9 and . _ / - between them, as team/shop",
    VARIABLE: "the name of a variable, of letters, digits and _, with no digit first",
    MEMORY: "bytes with a suffix k, m or g or none, as 512m",
    PATH: "a path that begins with /",
}

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ImageRepository = Annotated[str, StringConstraints(pattern=IMAGE, max_length=200)]
EnvName = Annotated[str, StringConstraints(pattern=VARIABLE)]
Memory = Annotated[str, StringConstraints(pattern=MEMORY)]


class Part(BaseModel):
    """Base of all parts: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HealthCheck(Part):
    """How to tell that an instance works. Times are seconds."""

    path: str = Field("/healthz", pattern=PATH)
    interval: Seconds = 1.0
    timeout: Seconds = 2.0
    retries: int = Field(3, ge=1, le=100)
    start_period: Seconds = 30.0
    min_healthy: float = Field(2.0, ge=0, le=3600)


class Resources(Part):
    """Limits of one instance. ``memory`` is bytes with an optional suffix k, m or g."""

    memory: Memory | None = None
    cpus: float | None = Field(None, gt=0)
    pids: int | None = Field(None, ge=1)


class Build(Part):
    """Where the image is built from, relative to the source tree given to ``drcloud build``."""

    context: str = "."
    dockerfile: str = "Dockerfile"


class AppOverride(Part):
    """What an environment changes: variables are merged, everything else replaces."""

    env: dict[EnvName, str] = {}
    health: HealthCheck | None = None
    resources: Resources | None = None


class AppSpec(Part):
    """What is delivered and how it runs."""

    image: ImageRepository
    tier: Literal["frontend", "backend", "component", "database"] = "backend"
    port: Port
    build: Build = Build()
    health: HealthCheck = HealthCheck()
    env: dict[EnvName, str] = {}
    resources: Resources = Resources()
    read_only: bool = True
    user: str | None = None
    cap_add: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_grace: Seconds = 10.0
    # How long the first host of a roll is watched before the others follow.
    canary_watch: float = Field(0, ge=0, le=3600)
    overrides: dict[str, AppOverride] = {}

    def for_environment(self, environment: str) -> AppSpec:
        """Return the specification with the environment's overrides folded in and none left."""
        override = self.overrides.get(environment, AppOverride())
        changes: dict[str, Any] = {"env": {**self.env, **override.env}, "overrides": {}}
        if override.health is not None:
            changes["health"] = override.health
        if override.resources is not None:
            changes["resources"] = override.resources
        return self.model_copy(update=changes)
