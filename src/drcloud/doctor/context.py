"""What the checks share: where to look, how long to wait, and what earlier checks have found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from drcloud.cmdb import sourcefile
from drcloud.cmdb.snapshot import HostRow, Snapshot
from drcloud.cmdb.sourcefile import SUFFIXES, SourceFile
from drcloud.errors import NothingMatchedError

# Installed collections: version and path by name.
Found = Mapping[str, tuple[str, str]]
Watch = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Site:
    """What an inventory source says: which CMDB, and which key opens its hosts."""

    name: str
    url: str | None = None
    identity_file: str | None = None
    source: SourceFile = field(default=SourceFile(None), compare=False)


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
    if not source.endswith(SUFFIXES):
        return None
    found = sourcefile.load(Path(source))
    return Site(source, found.url, found.identity_file, found)
