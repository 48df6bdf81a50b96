"""Moves of a host's state, and the pinning of its SSH keys."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from drcloud.cmdb.declared import HOST_STATES, Host, HostKey
from drcloud.errors import InvalidInputError

# Whatever is out of service may be retired; a host in service is taken out first.
MOVES: dict[str, frozenset[str]] = {
    "planned": frozenset({"provisioning", "retired"}),
    "provisioning": frozenset({"planned", "active", "quarantined", "retired"}),
    "active": frozenset({"maintenance", "quarantined"}),
    "maintenance": frozenset({"active", "quarantined", "provisioning", "retired"}),
    "quarantined": frozenset({"active", "maintenance", "provisioning", "retired"}),
    "retired": frozenset(),
}
# Out of service by somebody's word. What is planned or being provisioned never was in service.
AWAY = frozenset({"maintenance", "quarantined", "retired"})


def is_away(state: str) -> bool:
    """Tell whether a host in this state was declared out of service; a load balancer is not asked then."""
    return state in AWAY


def objection(name: str, current: str, wanted: str) -> str | None:
    """Return why a host may not move from one state to another; None when it may."""
    if wanted not in HOST_STATES:
        return f"{wanted!r} is no state of a host: it is one of {', '.join(HOST_STATES)}"
    if wanted == current or wanted in MOVES[current]:
        return None
    allowed = " or ".join(state for state in HOST_STATES if state in MOVES[current]) or "nothing else"
    return f"host {name} is {current} and cannot become {wanted}: from there it can become {allowed}"


def transition(session: Session, host: Host, state: str) -> None:
    """Move a host to a state; a move that is not allowed is an ``InvalidInputError``."""
    if wrong := objection(host.name, host.state, state):
        raise InvalidInputError(wrong)
    host.state = state
    session.flush()


def pin_keys(session: Session, host: Host, keys: Mapping[str, str], *, replace: bool = False) -> None:
    """Pin SSH host keys, base64 by type as in ``known_hosts``; other types stay as they are.

    A key that differs from the pinned one is refused unless ``replace`` says that it was checked.
    """
    pinned = {key.type: key for key in host.keys}
    for kind, text in sorted(keys.items()):
        known = pinned.get(kind)
        if known is None:
            host.keys.append(HostKey(type=kind, key=text))
        elif known.key != text and not replace:
            raise InvalidInputError(
                f"host {host.name} shows another {kind} key than the pinned one: it was reinstalled, or "
                "somebody stands in between; find out which before you replace the pinned key"
            )
        else:
            known.key = text
    session.flush()
