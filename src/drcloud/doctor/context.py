"""What the checks share: where to look, how long to wait, and what earlier checks have found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from drcloud.cmdb.snapshot import HostRow, Snapshot
from drcloud.errors import InvalidInputError, NothingMatchedError
from drcloud.secrets import expand

SOURCES = (".cmdb.yml", ".cmdb.yaml")
PLUGIN = "dianrong.cloud.cmdb"

# Installed collections: version and path by name.
Found = Mapping[str, tuple[str, str]]
Watch = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Site:
    """What an inventory source says: which CMDB, and which key opens its hosts."""

    name: str
    url: str | None = None
    identity_file: str | None = None


@dataclass(slots=True)
class Context:
    """The subject of a visit. ``seconds`` is how long one thing may take to answer."""

    site: Site
    requirements: Path | None = None
    limit: str | None = None
    seconds: float = 10.0
    at_once: int = 8
    watch: Watch = lambda _: None
    snapshot: Snapshot | None = None
    collections: list[Found | None] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)

    def hosts(self) -> list[HostRow]:
        """Return the hosts to look at: all, or those whose names fit one of the patterns of the limit.

        ``NothingMatchedError`` when the limit fits none.
        """
        rows = self.snapshot.hosts if self.snapshot else ()
        patterns = [part.strip() for part in (self.limit or "*").split(",")]
        found = [row for row in rows if any(fnmatchcase(row.name, pattern) for pattern in patterns)]
        if self.limit and self.snapshot and not found:
            raise NothingMatchedError(
                f"no host of the CMDB fits --limit {self.limit}: `drcloud host list` has them"
            )
        return found


def site(source: str) -> Site | None:
    """Return what an inventory source says; None for an inventory of another kind."""
    if not source.endswith(SOURCES):
        return None
    try:
        content = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f"inventory source {source} cannot be read: {error}") from error
    if not isinstance(content, Mapping) or content.get("plugin") != PLUGIN:
        raise InvalidInputError(f"{source} is no inventory source: it begins with `plugin: {PLUGIN}`")
    ssh: Any = content.get("ssh") or {}
    identity = ssh.get("identity_file") if isinstance(ssh, Mapping) else None
    url = content.get("url")
    return Site(
        source,
        expand(str(url), "option url") if url else None,
        expand(str(identity), "option ssh.identity_file") if identity else None,
    )
