"""What changes that are planned lead to, and whether policy lets them be written: a dry run's last step."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from drcloud.cmdb import actor as actors
from drcloud.cmdb import policy, values
from drcloud.cmdb.base import Document
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded, State


def enforce(session: Session, loaded: Loaded, changes: Iterable[Change], ticket: str | None) -> None:
    """Refuse in a dry run what the write itself would be refused for want of an open change."""
    final = after(loaded.documents, changes)
    rows = [
        policy.Row(
            one.kind,
            one.key,
            loaded.documents[one.kind].get(one.key) if one.action != "create" else None,
            {**defaults(one.kind), **final[one.kind][one.key]} if one.action != "delete" else None,
        )
        for one in changes
    ]
    policy.enforce(session, policy.guard(session, ticket or actors.ticket()), rows)


def after(state: State, changes: Iterable[Change]) -> dict[str, dict[str, Document]]:
    """Return the state that changes lead to."""
    final = {kind: dict(rows) for kind, rows in state.items()}
    for one in changes:
        if one.action == "delete":
            final[one.kind].pop(one.key)
        else:
            final[one.kind][one.key] = {**final[one.kind].get(one.key, {}), **one.after}
    return final


def defaults(kind: str) -> Document:
    """Return the fields that an object of a kind has when nobody says anything."""
    return values.defaults(kinds()[kind])
