"""An inventory in a file: one for each source, good as long as the CMDB says that nothing changed.

Nothing here decides by age. An entry carries the token of the CMDB that it was made from, and the reader
compares it with the present one. Only the owner may read the file, and only the owner's files are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from drcloud import __version__
from drcloud.cmdb.base import now
from drcloud.cmdb.grouping import Groups
from drcloud.cmdb.inventory import Inventory
from drcloud.errors import DrcloudError

FORMAT = 2


class BadCacheError(DrcloudError):
    """A cache file is damaged, or not only ours."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An inventory with the files that go with it, and what it was made from."""

    token: str
    inventory: Inventory
    files: Mapping[str, str]


def default_directory() -> Path:
    """Return where the inventories of a user are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "drcloud" / "inventory"


class Cache:
    """The cache file of one source.

    ``source`` is the file of the inventory source, ``asked`` all that decides what it yields: the CMDB's
    URL and the options. Another version of the package never uses what this one wrote.
    """

    def __init__(self, directory: Path, source: str, asked: Mapping[str, Any]) -> None:
        text = json.dumps(dict(asked), sort_keys=True, default=str)
        self._key = _digest(f"{FORMAT}\n{__version__}\n{source}\n{text}".encode())
        self.path = directory / f"{_digest(source.encode())[:32]}.json"

    def load(self, token: str | None) -> Entry | None:
        """Return the entry of a token, of any when it is None; None where there is no such entry.

        Raises ``BadCacheError`` for a file that cannot be trusted; its body is read on a hit only.
        """
        try:
            with self.path.open("rb") as file:
                _require_private(self.path, os.fstat(file.fileno()))
                head = self._head(file.readline())
                if head.get("key") != self._key or token not in (None, head.get("token")):
                    return None
                return self._entry(head, file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadCacheError(f"cache file {self.path} cannot be read: {error.strerror}") from error

    def written_at(self) -> datetime | None:
        """Return when the entry was written."""
        try:
            with self.path.open("rb") as file:
                return datetime.fromisoformat(self._head(file.readline())["written_at"])
        except (OSError, KeyError, ValueError, BadCacheError):
            return None

    def save(self, entry: Entry) -> None:
        """Put an entry in place of the one there, at once; ``BadCacheError`` where that is not possible."""
        body = json.dumps(_plain(entry), ensure_ascii=False, separators=(",", ":")).encode()
        head = {
            "key": self._key,
            "token": entry.token,
            "digest": _digest(body),
            "written_at": now().isoformat(timespec="seconds"),
        }
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.path, json.dumps(head).encode() + b"\n" + body)
        except OSError as error:
            raise BadCacheError(f"cache file {self.path} cannot be written: {error.strerror}") from error

    def _head(self, line: bytes) -> dict[str, Any]:
        try:
            head = json.loads(line)
        except ValueError:
            head = None
        if not isinstance(head, dict):
            raise BadCacheError(f"cache file {self.path} is damaged")
        return head

    def _entry(self, head: Mapping[str, Any], body: bytes) -> Entry:
        if _digest(body) != head.get("digest"):
            raise BadCacheError(f"cache file {self.path} is damaged")
        found = json.loads(body)
        groups = Groups(
            members=found["members"],
            children={parent: dict.fromkeys(children) for parent, children in found["children"].items()},
        )
        inventory = Inventory(
            hosts=found["hosts"],
            groups=groups,
            everywhere=found["everywhere"],
            labels=found["labels"],
            hidden=frozenset(found["hidden"]),
            warnings=tuple(found["warnings"]),
        )
        return Entry(head["token"], inventory, found["files"])


def _plain(entry: Entry) -> dict[str, Any]:
    inventory = entry.inventory
    return {
        "hosts": inventory.hosts,
        "members": inventory.groups.members,
        "children": {parent: list(children) for parent, children in inventory.groups.children.items()},
        "everywhere": inventory.everywhere,
        "labels": dict(inventory.labels),
        "hidden": sorted(inventory.hidden),
        "warnings": inventory.warnings,
        "files": dict(entry.files),
    }


def _require_private(path: Path, found: os.stat_result) -> None:
    """Refuse what another user could have written: an inventory says where commands are run."""
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise BadCacheError(f"cache file {path} is not private to its user")


def _replace(path: Path, content: bytes) -> None:
    # mkstemp makes the file for its owner alone.
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
