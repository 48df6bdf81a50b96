"""Judge one host and record it: what the action plugin calls with what it saw."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from drcloud.cmdb.store import Store
from drcloud.compliance import records
from drcloud.compliance.evaluate import evaluate, summarise
from drcloud.compliance.evidence import Evidence
from drcloud.compliance.findings import Change, State
from drcloud.compliance.outcome import HostOutcome

RUN_ID = "DRCLOUD_RUN_ID"


def audit(
    host: str,
    role: str,
    document: Mapping[str, Any] | None,
    *,
    probes: Sequence[Mapping[str, Any]],
    reason: str = "",
    store: Store | None = None,
) -> HostOutcome:
    """Return what the controls say of a host; with a store, record it.

    ``document`` is the module's evidence, ``None`` for a host that could not be entered for ``reason``.
    """
    handshakes = [dict(probe) for probe in probes]
    if document is None:
        evidence = Evidence.unseen(reason, handshakes)
    else:
        evidence = Evidence({**document, "probes": handshakes})
    results = evaluate(evidence, role)
    changes: tuple[Change, ...] = ()
    if store is not None:
        run_uid = os.environ.get(RUN_ID)
        changes = records.record(store, host, evidence, results, seen=document is not None, run_uid=run_uid)
    return HostOutcome(
        host=host,
        seen=document is not None,
        reason=reason,
        controls=summarise(results, records.states(changes)),
        fixed=tuple(f"{change.control} {change.object}" for change in changes if change.state == State.FIXED),
    )
