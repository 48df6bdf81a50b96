"""Changes as rows: few statements and little memory, however many changes there are.

What new rows are called is kept for the change log; the rows themselves are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from drcloud.cmdb import creation
from drcloud.cmdb.base import Base
from drcloud.cmdb.natural import KEYS, Kind, kinds
from drcloud.cmdb.state import Loaded
from drcloud.cmdb.values import column

if TYPE_CHECKING:
    from drcloud.cmdb.plan import Change

BATCH = 2000
# SQLite takes 999 values in a statement of old versions.
CHUNK = 500


class Writer:
    """Writes the changes of a plan in a session."""

    def __init__(self, session: Session, loaded: Loaded) -> None:
        self._session = session
        self._rows = dict(loaded.rows)
        self._ids = {**loaded.ids, **{key: row.id for key, row in loaded.rows.items()}}
        self._keys: dict[tuple[str, int], str] = session.info.setdefault(KEYS, {})

    def write(self, changes: Iterable[Change]) -> None:
        """Write all changes: what goes makes room first, what is referred to comes before what refers."""
        by_kind: dict[str, list[Change]] = {name: [] for name in kinds()}
        gone: list[Change] = []
        for change in changes:
            (gone if change.action == "delete" else by_kind[change.kind]).append(change)
        with self._session.no_autoflush:
            self._let_go(gone, by_kind)
            self._fetch(gone)
            for change in gone:
                self._session.delete(self._row(change.kind, change.key))
            self._session.flush()
            for change in gone:
                self._ids.pop((change.kind, change.key))
                self._rows.pop((change.kind, change.key))
            # Policy asks for the specification that an app gets, so that one is written first.
            raised = [change for change in by_kind["app"] if "spec_version" in change.before]
            by_kind["app"] = [change for change in by_kind["app"] if change not in raised]
            for name, mine in by_kind.items():
                self._write_kind(kinds()[name], mine)
                if name == "app_spec_version":
                    self._update(raised)

    def _let_go(self, gone: Iterable[Change], by_kind: Mapping[str, Sequence[Change]]) -> None:
        """Empty the references to what goes, of rows that get another one or none; the rest comes later."""
        lost = {(change.kind, change.key) for change in gone}
        for change in (one for mine in by_kind.values() for one in mine if lost and one.action == "update"):
            kind = kinds()[change.kind]
            for name in change.after:
                field = kind.fields[name]
                if not field.target or (field.target, change.before[name]) not in lost:
                    continue
                if column(kind, field).nullable:
                    setattr(self._row(change.kind, change.key), name, None)

    def _write_kind(self, kind: Kind, changes: Sequence[Change]) -> None:
        new = [change for change in changes if change.action == "create"]
        known = [change for change in changes if change.action == "update"]
        later = [change for change in known if not self._can_refer(kind, change)]
        # What known rows give up, as a serial number, is free for new ones.
        self._update([change for change in known if change not in later] if later else known)
        for level in self._levels(kind, new):
            for start in range(0, len(level), BATCH):
                self._create(kind, level[start : start + BATCH])
        self._update(later)

    def _can_refer(self, kind: Kind, change: Change) -> bool:
        """Tell whether the rows of its own kind that a change refers to are there already."""
        own = [field.name for field in kind.fields.values() if field.target == kind.name]
        wanted = [change.after[name] for name in own if change.after.get(name) is not None]
        return all((kind.name, key) in self._ids for key in wanted)

    def _levels(self, kind: Kind, changes: list[Change]) -> Iterator[list[Change]]:
        """Yield new rows so that those of the same kind that are referred to come first."""
        waiting = changes
        while waiting:
            ready: list[Change] = []
            rest: list[Change] = []
            for change in waiting:
                (ready if self._can_refer(kind, change) else rest).append(change)
            if not ready:
                raise RuntimeError(f"{kind.name} {waiting[0].key} refers to itself through others")
            yield ready
            waiting = rest

    def _create(self, kind: Kind, changes: Sequence[Change]) -> None:
        known = creation.Rows(self._ids, self._row)
        rows = [creation.prepare(kind, change.key, change.after, known) for change in changes]
        for key, number in creation.write(self._session, kind, rows).items():
            self._ids[kind.name, key] = number
            self._keys[kind.name, number] = key

    def _update(self, changes: Sequence[Change]) -> None:
        self._fetch(changes)
        for change in changes:
            row = self._row(change.kind, change.key)
            for name, value in change.after.items():
                target = kinds()[change.kind].fields[name].target
                setattr(row, name, value if target is None or value is None else self._row(target, value))
        if changes:
            self._session.flush()

    def _fetch(self, changes: Iterable[Change]) -> None:
        """Load the rows of changes, many at once."""
        missing: dict[str, dict[int, str]] = {}
        for change in changes:
            if (change.kind, change.key) not in self._rows:
                missing.setdefault(change.kind, {})[self._ids[change.kind, change.key]] = change.key
        for name, wanted in missing.items():
            model: Any = kinds()[name].model
            numbers = list(wanted)
            for start in range(0, len(numbers), CHUNK):
                query = select(model).where(model.id.in_(numbers[start : start + CHUNK]))
                for row in self._session.scalars(query):
                    self._rows[name, wanted[row.id]] = row

    def _row(self, kind: str, key: str) -> Base:
        row = self._rows.get((kind, key))
        if row is None:
            row = self._rows[kind, key] = self._session.get_one(kinds()[kind].model, self._ids[kind, key])
        return row
