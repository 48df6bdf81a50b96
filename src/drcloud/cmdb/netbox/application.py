"""The writing of a plan, in the caller's transaction: kind by kind, so that what is referred to is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sqlalchemy.orm import Session

from drcloud.cmdb.base import Base
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.netbox.ownership import MANAGED, PARTS, Key
from drcloud.cmdb.netbox.plan import Plan
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded
from drcloud.errors import InvalidInputError


def apply(session: Session, loaded: Loaded, plan: Plan) -> None:
    """Write a plan that was made from the loaded state."""
    rows = {(kind, plan.moved.get((kind, key), key)): row for (kind, key), row in loaded.rows.items()}
    deletions = [change for change in plan.changes if change.action == "delete"]
    writes = [change for change in plan.changes if change.action != "delete"]
    with session.no_autoflush:
        _delete(session, rows, [change for change in deletions if change.kind in PARTS])
        for change in plan.first:
            _fill(rows, change)
        session.flush()
        writes.sort(key=lambda change: MANAGED.index(change.kind))
        for kind, changes in groupby(writes, key=lambda change: change.kind):
            _write(session, rows, kind, list(changes), plan)
        last = [change for change in deletions if change.kind not in PARTS]
        last.sort(key=lambda change: -MANAGED.index(change.kind))
        for _, changes in groupby(last, key=lambda change: change.kind):
            _delete(session, rows, list(changes))


def _delete(session: Session, rows: dict[Key, Base], changes: list[Change]) -> None:
    for change in changes:
        session.delete(rows.pop((change.kind, change.key)))
    session.flush()


def _write(session: Session, rows: dict[Key, Base], kind: str, changes: list[Change], plan: Plan) -> None:
    former = {new: old for (moved, old), new in plan.moved.items() if moved == kind}
    renamed = [change for change in changes if change.key in former]
    for change in _freeing_first(renamed, former):
        _fill(rows, change)
        session.flush()
    for change in changes:
        if change.action == "create":
            rows[kind, change.key] = kinds()[kind].model()
    for change in changes:
        if change.key not in former:
            _fill(rows, change)
            session.add(rows[kind, change.key])
    session.flush()


def _freeing_first(changes: list[Change], former: dict[str, str]) -> Iterator[Change]:
    """Yield renamings so that a name is free before another row gets it."""
    waiting = {former[change.key]: change for change in changes}
    while waiting:
        free = [change for change in waiting.values() if change.key not in waiting]
        if not free:
            names = " and ".join(sorted(waiting))
            raise InvalidInputError(
                f"{names} have changed names with one another in NetBox: give one a third name first"
            )
        for change in free:
            yield waiting.pop(former[change.key])


def _fill(rows: dict[Key, Base], change: Change) -> None:
    row = rows[change.kind, change.key]
    for name, value in change.after.items():
        target = kinds()[change.kind].fields[name].target
        setattr(row, name, value if target is None or value is None else rows[target, value])
