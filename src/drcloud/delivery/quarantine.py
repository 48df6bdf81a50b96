"""Hosts that a roll lost: out of service until a roll catches up with them.

A host that comes back by itself starts what it ran before. So it is drained at the load balancers when it
is lost, marked in the CMDB, and left out of rolls until one names it; that brings it to the revision of
the others first and then back into service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drcloud.cmdb import hosts, lookup
from drcloud.cmdb.store import Store
from drcloud.delivery.ledger import StepRow

QUARANTINED = "quarantined"
ACTIVE = "active"
# The attribute of a host that says that a roll put it here, and may let it go again. A person's quarantine
# has none, and ends by a person's word.
MARK = "lost_by_deployment"
CAUGHT_UP = ("done", "unchanged")


def is_ours(state: str, attrs: Mapping[str, Any]) -> bool:
    """Tell whether a roll quarantined a host, so that a roll may bring it back."""
    return state == QUARANTINED and MARK in attrs


def settle(store: Store, deployment: str, steps: Sequence[StepRow]) -> None:
    """Quarantine the hosts that a roll lost, and give those back that it caught up with."""
    lost = {step.host: step for step in steps if step.state == "unreachable"}
    back = [step.host for step in steps if step.state in CAUGHT_UP]
    _quarantine(store, deployment, lost)
    _give_back(store, deployment, back)


def _quarantine(store: Store, deployment: str, lost: Mapping[str, StepRow]) -> None:
    for name, step in lost.items():
        why = f"deployment {deployment} lost it: {step.detail.get('reason', 'no reason recorded')}"
        with store.write(reason=why, fact=True) as session:
            host = lookup.host(session, name)
            if host.state == ACTIVE:
                host.attrs = {**host.attrs, MARK: deployment}
                hosts.transition(session, host, QUARANTINED)


def _give_back(store: Store, deployment: str, names: Sequence[str]) -> None:
    with store.read() as session:
        found = [lookup.host(session, name) for name in names]
        ours = [host.name for host in found if is_ours(host.state, host.attrs)]
    for name in ours:
        with store.write(reason=f"deployment {deployment} caught up with it", fact=True) as session:
            host = lookup.host(session, name)
            host.attrs = {key: value for key, value in host.attrs.items() if key != MARK}
            hosts.transition(session, host, ACTIVE)
