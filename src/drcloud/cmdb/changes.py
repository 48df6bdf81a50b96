"""Moves of a change ticket's state."""

from __future__ import annotations

from sqlalchemy.orm import Session

from drcloud.cmdb.declared import CHANGE_STATES, ChangeTicket
from drcloud.errors import InvalidInputError

# What was begun is ended: closed when it is done, cancelled when it was given up.
MOVES: dict[str, frozenset[str]] = {
    "draft": frozenset({"approved", "cancelled"}),
    "approved": frozenset({"draft", "open", "cancelled"}),
    "open": frozenset({"closed", "cancelled"}),
    "closed": frozenset(),
    "cancelled": frozenset(),
}


def objection(ticket: str, current: str, wanted: str) -> str | None:
    """Return why a change may not move from one state to another; None when it may."""
    if wanted not in CHANGE_STATES:
        return f"{wanted!r} is no state of a change: it is one of {', '.join(CHANGE_STATES)}"
    if wanted == current or wanted in MOVES[current]:
        return None
    allowed = " or ".join(state for state in CHANGE_STATES if state in MOVES[current])
    way = f"from there it can become {allowed}" if allowed else "write a new change"
    return f"change {ticket} is {current} and cannot become {wanted}: {way}"


def transition(session: Session, change: ChangeTicket, state: str) -> None:
    """Move a change to a state; a move that is not allowed is an ``InvalidInputError``."""
    if wrong := objection(change.ticket, change.state, state):
        raise InvalidInputError(wrong)
    change.state = state
    session.flush()
