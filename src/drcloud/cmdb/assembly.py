"""From the CMDB to an inventory: of now or of the past, read or remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import drift, history, inventory, past, snapshot, ssh
from drcloud.cmdb.cache import BadCacheError, Cache, Entry
from drcloud.cmdb.changelog import DECLARED
from drcloud.cmdb.inventory import Inventory, Keep
from drcloud.cmdb.operational import ChangeLog, Sequence
from drcloud.cmdb.options import Options
from drcloud.cmdb.snapshot import PARTS, Snapshot
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, CmdbUnreachableError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make of the CMDB: the source's options, what ``where`` means, and where SSH files belong."""

    options: Options = field(default_factory=Options)
    keep: Keep | None = None
    ssh_directory: Path | None = None
    identity_file: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An inventory, the SSH files that go with it, and what the user must know of how it came about."""

    inventory: Inventory
    files: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def read(store: Store, wanted: Wanted) -> Found:
    """Read the CMDB and build the inventory."""
    with store.read() as session:
        return _build(session, wanted)


def remembered(url: str | None, wanted: Wanted, cache: Cache, *, refresh: bool, stale: bool) -> Found:
    """Return the inventory of the cache if nothing changed since, else of the CMDB, and remember it.

    ``refresh`` reads the CMDB in any case. ``stale`` takes what is remembered, with a warning, when the
    CMDB does not answer; any other trouble of the CMDB is an error.
    """
    try:
        with Store.open(url).read() as session:
            now = token(session, wanted.options)
            entry, warnings = (None, ()) if refresh else _load(cache, now)
            if entry is not None:
                return Found(entry.inventory, entry.files, entry.inventory.warnings)
            found = _build(session, wanted)
    except CmdbUnreachableError as error:
        return _stale(cache, error, stale)
    try:
        cache.save(Entry(now, found.inventory, found.files))
    except BadCacheError as error:
        warnings = (*warnings, f"{error}; the inventory is right, the next one is read anew")
    return Found(found.inventory, found.files, (*warnings, *found.warnings))


def token(session: Session, options: Options) -> str:
    """Return a text that changes whenever the inventory could.

    The time of the last change tells two histories apart that have equally many, as after a restore.
    """
    if options.as_of is None:
        seq = session.scalars(select(Sequence.value).where(Sequence.name == DECLARED)).one()
    else:
        seq = history.resolve(session, options.as_of)
    at = session.scalars(select(ChangeLog.at).where(ChangeLog.seq == seq)).one_or_none()
    seen = f" observed {drift.token(session)}" if options.drift else ""
    return f"{seq} {at.isoformat() if at else 'never'}{seen}"


def picture(session: Session, wanted: Wanted) -> Snapshot:
    """Return the rows that the inventory is made of, now or as they were."""
    options = wanted.options
    if options.as_of is not None:
        seq = history.resolve_known(session, options.as_of)
        return past.snapshot(history.documents(session, seq), seq, options.selection)
    parts = {part for part in PARTS if f"dr_{part}" in options.needed}
    if wanted.ssh_directory is not None:
        parts.add("host_keys")
    return snapshot.load(session, options.selection, frozenset(parts))


def _build(session: Session, wanted: Wanted) -> Found:
    rows = picture(session, wanted)
    drifted: Mapping[str, Any] = {}
    if wanted.options.drift:
        drifted = drift.hosts(rows.placements, drift.read(session))
    directory = wanted.ssh_directory
    config = None if directory is None else str(directory / ssh.CONFIG)
    built = inventory.build(rows, config, wanted.options, wanted.keep, drifted)
    files = {} if directory is None else ssh.texts(rows, directory, wanted.identity_file)
    return Found(built, files, built.warnings)


def _load(cache: Cache, now: str) -> tuple[Entry | None, tuple[str, ...]]:
    try:
        return cache.load(now), ()
    except BadCacheError as error:
        return None, (f"{error}; it is not used and written anew",)


def _stale(cache: Cache, error: CmdbError, allowed: bool) -> Found:
    """Return what is remembered of a CMDB that does not answer, or raise why there is nothing."""
    if not allowed:
        raise error
    try:
        entry = cache.load(None)
    except BadCacheError as bad:
        raise CmdbError(f"{error}; and {bad}") from error
    if entry is None:
        raise CmdbError(f"{error}; and no inventory of this source is remembered") from error
    written = cache.written_at()
    said = f"STALE INVENTORY: {error}. Hosts and groups are those of {written:%Y-%m-%d %H:%M:%S %Z}, "
    said += "when the CMDB was read last; what changed since is unknown"
    return Found(entry.inventory, entry.files, (said, *entry.inventory.warnings))
