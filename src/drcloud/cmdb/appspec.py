"""The specification of an app: one versioned document, the same for import, module and command.

A field that is new here has a default that means what was before it: revisions leave defaults out, so that
nothing rolls because drCloud was upgraded.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from drcloud import secrets

# How texts of a specification look, and what to call that.
IMAGE, VARIABLE, MEMORY, PATH, DEVICE, LOG_OPTION = (
    r"^[a-z0-9]+([._/-][a-z0-9]+)*$",
    r"^[A-Za-z_][A-Za-z0-9_]*$",
    r"^[0-9]+[kmg]?$",
    r"^/",
    r"^/dev/.",
    r"^[a-z][a-z0-9_-]*$",
)
WORDS = {
    IMAGE: "a repository without registry and tag, of a-z, 0-9 and . _ / - between them, as team/shop",
    VARIABLE: "the name of a variable, of letters, digits and _, with no digit first",
    MEMORY: "bytes with a suffix k, m or g or none, as 512m",
    PATH: "a path that begins with /",
    DEVICE: "the path of a device, as /dev/data",
    LOG_OPTION: "the name of an option of a log driver, as max-size",
}
LABELS = "com.dianrong.cloud."
# Where secrets stand in a container.
SECRETS = "/run/secrets"
# What a volume would hide or break, itself and what lies in it.
KEPT = ("/proc", "/sys", "/dev", SECRETS)
FIRST_PATH = "/healthz"


def _reference(value: str) -> str:
    return secrets.require_reference(value)


def _absolute(value: str) -> str:
    if value != "/" and (value.endswith("/") or "//" in value or {".", ".."} & set(value.split("/"))):
        raise ValueError(f"{value!r} is to be written without . and .. and without a / too many")
    return value


def _target(value: str) -> str:
    if value == "/" or any(value == kept or value.startswith(f"{kept}/") for kept in KEPT):
        raise ValueError(f"{value!r} is needed by the container itself: choose another place")
    return value


def _label(value: str) -> str:
    if not value or value.startswith(LABELS):
        raise ValueError(f"{value!r} is one of drCloud's own labels, or empty: choose another name")
    return value


def _log_option(value: str) -> str:
    if value == "labels":
        raise ValueError("'labels' is what drCloud tells the log driver itself")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ImageRepository = Annotated[str, StringConstraints(pattern=IMAGE, max_length=200)]
EnvName = Annotated[str, StringConstraints(pattern=VARIABLE)]
Memory = Annotated[str, StringConstraints(pattern=MEMORY)]
Word = Annotated[str, StringConstraints(min_length=1)]
Command = Annotated[tuple[Word, ...], Field(min_length=1)]
Reference = Annotated[str, StringConstraints(max_length=255), AfterValidator(_reference)]
AbsolutePath = Annotated[str, StringConstraints(pattern=PATH), AfterValidator(_absolute)]
MountPoint = Annotated[AbsolutePath, AfterValidator(_target)]
DevicePath = Annotated[str, StringConstraints(pattern=DEVICE), AfterValidator(_absolute)]
Limit = Annotated[int, Field(ge=-1)]
# Seconds that may be none.
Watch = Annotated[float, Field(ge=0, le=3600)]
LabelName = Annotated[str, AfterValidator(_label)]
LogOption = Annotated[str, StringConstraints(pattern=LOG_OPTION), AfterValidator(_log_option)]
# What the kernel limits, setrlimit(2), by the names of the Engine API.
UlimitName = Literal[
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
    "rtprio", "rttime", "sigpending", "stack",
]  # fmt: skip
# Not `always`: the engine would start instances again that a roll has stopped.
Restart = Literal["unless-stopped", "on-failure", "never"]


class Part(BaseModel):
    """Base of all parts: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HealthCheck(Part):
    """How to tell that an instance works: it answers over HTTP, takes a connection, or a command says so.

    Times are seconds.
    """

    kind: Literal["http", "tcp", "exec"] = "http"
    path: str = Field(FIRST_PATH, pattern=PATH)
    command: Command | None = None
    interval: Seconds = 1.0
    timeout: Seconds = 2.0
    retries: int = Field(3, ge=1, le=100)
    start_period: Seconds = 30.0
    min_healthy: float = Field(2.0, ge=0, le=3600)

    @model_validator(mode="after")
    def _fits(self) -> HealthCheck:
        if (self.kind == "exec") != (self.command is not None):
            raise ValueError("a command goes with kind exec, and kind exec needs one")
        if self.kind != "http" and self.path != FIRST_PATH:
            raise ValueError(f"a path goes with kind http, not with {self.kind}")
        return self


class Ulimit(Part):
    """A limit of the kernel for each process; -1 is none. ``hard`` is ``soft`` where it is left out."""

    soft: Limit
    hard: Limit | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Ulimit:
        if self.hard not in (None, -1) and not -1 < self.soft <= (self.hard or 0):
            raise ValueError(f"the soft limit {self.soft} is above the hard limit {self.hard}")
        return self


class Resources(Part):
    """Limits of one instance. ``memory`` is bytes with an optional suffix k, m or g."""

    memory: Memory | None = None
    cpus: float | None = Field(None, gt=0)
    pids: int | None = Field(None, ge=1)
    ulimits: dict[UlimitName, Ulimit] = {}


class Build(Part):
    """Where the image is built from, relative to the source tree given to ``drcloud build``."""

    context: str = "."
    dockerfile: str = "Dockerfile"


class Volume(Part):
    """An ``app-volume`` of the host in the container. ``source`` is where the CMDB says it is mounted."""

    source: AbsolutePath
    target: MountPoint
    read_only: bool = False


class Device(Part):
    """A ``raw`` block device of the host in the container, by the path that the CMDB has for it."""

    source: DevicePath
    target: DevicePath
    access: Literal["r", "rw", "rwm"] = "rw"


class Log(Part):
    """Where the engine writes what an instance says; the engine's own driver where none is named."""

    driver: Literal["journald", "json-file", "local"] | None = None
    options: dict[LogOption, str] = {}


class Secret(Part):
    """A secret by reference: read on the controller at deploy, never stored."""

    source: Reference
    expose: Literal["file", "env"] = "file"


class Hook(Part):
    """A command that a roll runs in a container of the new image; ending with 0 is good.

    ``timeout`` is seconds, after which it is killed and counts as failed.
    """

    when: Literal["before", "after"]
    per: Literal["roll", "host"] = "roll"
    command: Command
    timeout: Seconds = 300.0


class AppOverride(Part):
    """What an environment changes: variables, labels and secrets are merged, everything else replaces."""

    command: Command | None = None
    env: dict[EnvName, str] = {}
    secrets: dict[EnvName, Secret] = {}
    health: HealthCheck | None = None
    resources: Resources | None = None
    volumes: tuple[Volume, ...] | None = None
    devices: tuple[Device, ...] | None = None
    log: Log | None = None
    labels: dict[LabelName, str] = {}
    restart: Restart | None = None
    read_only: bool | None = None
    user: str | None = None
    cap_add: tuple[str, ...] | None = None
    stop_signal: str | None = None
    stop_grace: Seconds | None = None
    canary_watch: Watch | None = None
    hooks: tuple[Hook, ...] | None = None


MERGED = ("env", "secrets", "labels")


class AppSpec(Part):
    """What is delivered and how it runs."""

    image: ImageRepository
    tier: Literal["frontend", "backend", "component", "database"] = "backend"
    port: Port
    command: Command | None = None
    build: Build = Build()
    health: HealthCheck = HealthCheck()
    env: dict[EnvName, str] = {}
    secrets: dict[EnvName, Secret] = {}
    resources: Resources = Resources()
    volumes: tuple[Volume, ...] = ()
    devices: tuple[Device, ...] = ()
    log: Log = Log()
    labels: dict[LabelName, str] = {}
    restart: Restart = "unless-stopped"
    read_only: bool = True
    user: str | None = None
    cap_add: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    stop_grace: Seconds = 10.0
    # How long the first host of a roll is watched before the others follow.
    canary_watch: Watch = 0
    hooks: tuple[Hook, ...] = ()
    overrides: dict[str, AppOverride] = {}

    @model_validator(mode="after")
    def _apart(self) -> AppSpec:
        """Refuse two volumes or two devices in one place of the container, in any environment."""
        for override in (AppOverride(), *self.overrides.values()):
            volumes = self.volumes if override.volumes is None else override.volumes
            devices = self.devices if override.devices is None else override.devices
            for what, parts in (("volumes", volumes), ("devices", devices)):
                targets = [part.target for part in parts]
                if twice := next((one for one in targets if targets.count(one) > 1), None):
                    raise ValueError(f"two {what} have the target {twice}")
        return self

    def for_environment(self, environment: str) -> AppSpec:
        """Return the specification with the environment's overrides folded in and none left."""
        override = self.overrides.get(environment, AppOverride())
        changes: dict[str, Any] = {"overrides": {}}
        for name in AppOverride.model_fields:
            given = getattr(override, name)
            if name in MERGED:
                changes[name] = {**getattr(self, name), **given}
            elif given is not None:
                changes[name] = given
        return self.model_copy(update=changes)
