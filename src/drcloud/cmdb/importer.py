"""Import of a CMDB file: read, plan, apply; all of it in one transaction or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy.orm import Session

from drcloud.cmdb import document as documents
from drcloud.cmdb import plan as plans
from drcloud.cmdb import state as states
from drcloud.cmdb import yamlfile
from drcloud.cmdb.base import Base
from drcloud.cmdb.natural import Field, Kind, kinds
from drcloud.cmdb.plan import Change
from drcloud.cmdb.store import Store


def import_file(
    store: Store,
    path: Path | str,
    *,
    dry_run: bool = False,
    reason: str | None = None,
    ticket: str | None = None,
) -> tuple[Change, ...]:
    """Bring the CMDB to what a file says; return what changed, or with ``dry_run`` what would.

    Objects the file does not name stay as they are. ``InvalidInputError`` lists everything that
    is wrong with the file, by line and field.
    """
    file = yamlfile.read(path)
    document = documents.parse(file)
    if dry_run:
        with store.read() as session:
            return _planned(file, document, states.load(session))
    with store.write(reason=reason or f"import of {Path(path).name}", ticket=ticket) as session:
        loaded = states.load(session)
        changes = _planned(file, document, loaded)
        apply(session, loaded, changes)
    return changes


def _planned(
    file: yamlfile.YamlFile, document: documents.Document, loaded: states.Loaded
) -> tuple[Change, ...]:
    plan = plans.make(document, loaded.documents)
    file.fail(plan.problems)
    return plan.changes


def apply(session: Session, loaded: states.Loaded, changes: Iterable[Change]) -> None:
    """Write changes; what goes makes room first."""
    rows = dict(loaded.rows)
    rest = []
    for change in changes:
        if change.action == "delete":
            session.delete(rows.pop((change.kind, change.key)))
        else:
            rest.append(change)
    session.flush()
    order = list(kinds())
    rest.sort(key=lambda change: order.index(change.kind))
    with session.no_autoflush:
        for change in rest:
            if change.action == "create":
                rows[change.kind, change.key] = kinds()[change.kind].model()
        for change in rest:
            _fill(rows, change)
        session.add_all(rows[change.kind, change.key] for change in rest)
    session.flush()


def _fill(rows: dict[tuple[str, str], Base], change: Change) -> None:
    row = rows[change.kind, change.key]
    kind: Kind = kinds()[change.kind]
    for name, value in change.after.items():
        field: Field = kind.fields[name]
        if field.target is not None and value is not None:
            setattr(row, name, rows[field.target, value])
        else:
            setattr(row, name, value)
