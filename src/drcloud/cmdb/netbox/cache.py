"""What was read of a NetBox the last time, in a file below ``~/.cache/drcloud`` (XDG): only ever a shortcut.

An object is taken from here only while NetBox says that its stamp is the same, so a lost, old or damaged file
costs a full reading and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from drcloud.cmdb.netbox.records import R, Record


def place(url: str, sites: Sequence[str]) -> Path:
    """Return the file for a NetBox, or for the chosen sites of it."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256("\n".join([url, *sorted(sites)]).encode()).hexdigest()[:16]
    return base / "drcloud" / "netbox-objects" / f"{name}.json.gz"


class Cache:
    """The objects of the last reading by endpoint and id."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[str, Any] = _load(file) if file else {}

    def of(self, model: type[R]) -> dict[int, R]:
        """Return what is known of an endpoint; nothing when the program asks for other fields by now."""
        entry = self._known.get(model.path)
        if not isinstance(entry, dict) or entry.get("fields") != model.asked():
            return {}
        try:
            records = [model.model_validate(value) for value in entry.get("objects", ())]
        except (ValidationError, TypeError):
            return {}
        return {record.id: record for record in records}

    def keep(self, read: Mapping[type[Record], Iterable[Record]]) -> None:
        """Remember a reading; a file that cannot be written is no reason to fail."""
        if self._file is None:
            return
        entries = {
            model.path: {"fields": model.asked(), "objects": [one.model_dump(mode="json") for one in records]}
            for model, records in read.items()
            if model.stamp
        }
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
                raw.write(gzip.compress(json.dumps(entries).encode(), compresslevel=3))
            new.replace(self._file)
        except OSError:
            return


def _load(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(gzip.decompress(file.read_bytes()))
    except (OSError, EOFError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
