"""Evidence: what a host looked like, as the module ``compliance_evidence`` and the probe told it.

The document is kept as it was collected, so that it can be judged again by newer controls; the classes
here are the one place that knows its shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from drcloud.compliance.settings import Settings
from drcloud.errors import InvalidInputError

SCHEMA = 1
LABEL = "com.dianrong.cloud."
# Everything of a host that could not be seen at all stands under this name in ``unread``.
WHOLE_HOST = "host"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """One container, running or stopped."""

    document: Document

    @property
    def name(self) -> str:
        """Return the container's name."""
        return str(self.document.get("name") or self.document.get("id") or "?")

    @property
    def labels(self) -> Mapping[str, str]:
        """Return our labels without their prefix."""
        labels: Mapping[str, str] = self.document.get("labels") or {}
        return {key.removeprefix(LABEL): value for key, value in labels.items()}

    @property
    def managed(self) -> bool:
        """Tell whether drCloud made this container."""
        return {"app", "env"} <= set(self.labels)

    @property
    def object(self) -> str:
        """Return the name a finding is kept under: the slot of an app stays when its revision changes."""
        if not self.managed:
            return f"container:{self.name}"
        labels = self.labels
        return f"container:{labels['app']}_{labels['env']}_{labels.get('slot', '?')}"

    @property
    def image(self) -> str:
        """Return the image as the container was asked to run it."""
        return str(self.document.get("image") or "")

    @property
    def security_options(self) -> tuple[str, ...]:
        """Return the security options as they were given."""
        return tuple(self.document.get("security_options") or ())

    @property
    def bind_sources(self) -> tuple[str, ...]:
        """Return the host paths that are mounted."""
        mounts = self.document.get("mounts") or ()
        return tuple(
            mount["source"] for mount in mounts if mount.get("type") == "bind" and mount.get("source")
        )

    def setting(self, name: str) -> Any:
        """Return a field of the container's ``HostConfig``, by the Engine API's own name."""
        return self.document.get(name)

    def __str__(self) -> str:
        """Return how a message names the container."""
        status = self.document.get("status")
        return f"container {self.name}" + (f" ({status})" if status and status != "running" else "")


@dataclass(frozen=True, slots=True)
class File:
    """Owner and mode of a path."""

    path: str
    document: Document

    @property
    def present(self) -> bool:
        """Tell whether the path exists."""
        return self.document.get("state") == "present"

    @property
    def unread(self) -> str | None:
        """Return why the path could not be looked at, if so."""
        return str(self.document.get("reason")) if self.document.get("state") == "unread" else None

    @property
    def mode(self) -> int:
        """Return the permission bits."""
        return int(str(self.document.get("mode", "0")), 8)

    @property
    def owner(self) -> str:
        """Return the owner's name, or the number where there is no name."""
        return str(self.document.get("owner") or self.document.get("uid"))

    @property
    def group(self) -> str:
        """Return the group's name, or the number where there is no name."""
        return str(self.document.get("group") or self.document.get("gid"))


class Evidence:
    """The whole of what was seen of one host."""

    def __init__(self, document: Document) -> None:
        """Take a document of the known shape; ``InvalidInputError`` for another one."""
        if document.get("schema") != SCHEMA:
            raise InvalidInputError(
                f"evidence of schema {document.get('schema')!r} cannot be read, this program knows {SCHEMA}: "
                "collect it again with `drcloud compliance run`"
            )
        self.document = document

    @classmethod
    def unseen(cls, reason: str, probes: list[dict[str, Any]]) -> Evidence:
        """Return the evidence of a host that could not be entered: only what a stranger saw of it."""
        return cls({"schema": SCHEMA, "unread": {WHOLE_HOST: reason}, "probes": probes})

    @property
    def engine(self) -> str:
        """Return ``present``, ``absent``, ``stopped`` or ``silent``; ``unknown`` for an unseen host."""
        return str(self.document.get("engine", "unknown"))

    def unread(self, part: str) -> str | None:
        """Return why a part could not be read, ``None`` when it was read."""
        reasons = self.document.get("unread") or {}
        reason = reasons.get(WHOLE_HOST, reasons.get(part))
        return None if reason is None else str(reason)

    @property
    def info(self) -> Document:
        """Return what the engine reports as effective."""
        return self.document.get("info") or {}

    @property
    def socket(self) -> str:
        """Return the path of the engine's socket."""
        return str(self.document.get("socket") or "/var/run/docker.sock")

    @property
    def probes(self) -> list[Document]:
        """Return the handshakes made from another machine."""
        return list(self.document.get("probes") or ())

    @property
    def listeners(self) -> list[Document]:
        """Return the TCP listeners found on the host."""
        return list(self.document.get("listeners") or ())

    @property
    def socket_units(self) -> list[Document]:
        """Return the systemd socket units of the engine."""
        return list(self.document.get("socket_units") or ())

    @property
    def containers(self) -> Iterator[Container]:
        """Yield all containers."""
        return (Container(document) for document in self.document.get("containers") or ())

    @cached_property
    def settings(self) -> Settings:
        """Return the daemon's own settings."""
        daemon = self.document.get("daemon") or {}
        return Settings(daemon.get("argv") or (), self.document.get("config"))

    @property
    def config_file(self) -> str:
        """Return the path of the daemon's configuration file."""
        return self.settings.text("config-file") or "/etc/docker/daemon.json"

    def file(self, path: str) -> File:
        """Return owner and mode of a path; a path nobody looked at is unread."""
        missing = {"state": "unread", "reason": "it was not looked at"}
        return File(path, (self.document.get("files") or {}).get(path, missing))
