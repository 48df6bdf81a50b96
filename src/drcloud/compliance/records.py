"""Evidence and findings in the CMDB: the one writer of both, and what reports read back."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from drcloud.cmdb import lookup, outbox
from drcloud.cmdb.base import now
from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import Evidence as EvidenceRow
from drcloud.cmdb.operational import EvidenceSeen, Finding
from drcloud.cmdb.store import Store
from drcloud.compliance.evaluate import Results
from drcloud.compliance.evidence import Evidence
from drcloud.compliance.findings import Change, Known, State, plan

# An observation is worth an event when somebody has to do, or no longer do, something about it.
TOLD = (State.NEW, State.REGRESSED, State.FIXED)


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest evidence of a host."""

    host: str
    role: str
    collected_at: datetime
    evidence: Evidence


def pack(document: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the digest of a document's content and its compressed form."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hashlib.sha256(text).hexdigest(), zlib.compress(text)


def unpack(body: bytes) -> dict[str, Any]:
    """Return a document from its compressed form."""
    document: dict[str, Any] = json.loads(zlib.decompress(body))
    return document


def record(
    store: Store, host: str, evidence: Evidence, results: Results, *, seen: bool, run_uid: str | None
) -> tuple[Change, ...]:
    """Write what was found on a host and return what became of its findings.

    ``seen`` is false for a host that could not be entered: then there is no evidence worth keeping, but
    what a stranger could prove of it still counts.
    """
    with store.operate() as session:
        row = lookup.host(session, host)
        if seen:
            _keep(session, row, evidence, run_uid)
        changes = plan(host, _known(session, host), results)
        _apply(session, host, changes)
        for change in changes:
            if change.state in TOLD:
                outbox.publish(session, f"host:{host}", f"finding.{change.state}", _event(host, change))
    return changes


def states(changes: Iterable[Change]) -> dict[tuple[str, str], str]:
    """Return how old each finding is, by control and object."""
    return {(change.control, change.object): change.state.value for change in changes}


def newest(session: Session, hosts: Sequence[str] | None = None) -> list[Seen]:
    """Return the newest evidence of each host, in the order of their names."""
    latest = select(func.max(EvidenceSeen.id)).group_by(EvidenceSeen.host_id)
    query = (
        select(Host.name, Host.role, EvidenceSeen.collected_at, EvidenceRow.body)
        .join(EvidenceSeen, EvidenceSeen.host_id == Host.id)
        .join(EvidenceRow, EvidenceRow.id == EvidenceSeen.evidence_id)
        .where(EvidenceSeen.id.in_(latest))
        .order_by(Host.name)
    )
    if hosts is not None:
        query = query.where(Host.name.in_(hosts))
    return [Seen(name, role, at, Evidence(unpack(body))) for name, role, at, body in session.execute(query)]


def open_states(session: Session) -> dict[str, dict[tuple[str, str], str]]:
    """Return by host how old each open finding is."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    for row in session.scalars(select(Finding).where(Finding.state != State.FIXED.value)):
        found.setdefault(row.host, {})[row.control, row.object] = row.state
    return found


def _keep(session: Session, row: Host, evidence: Evidence, run_uid: str | None) -> None:
    digest, body = pack(evidence.document)
    kept = session.scalars(select(EvidenceRow).where(EvidenceRow.digest == digest)).one_or_none()
    if kept is None:
        kept = EvidenceRow(digest=digest, body=body)
        session.add(kept)
        session.flush()
    session.add(EvidenceSeen(host_id=row.id, evidence_id=kept.id, run_uid=run_uid))


def _known(session: Session, host: str) -> dict[str, Known]:
    rows = session.scalars(select(Finding).where(Finding.host == host))
    return {row.fingerprint: Known(row.control, row.object, State(row.state)) for row in rows}


def _apply(session: Session, host: str, changes: Sequence[Change]) -> None:
    rows = {row.fingerprint: row for row in session.scalars(select(Finding).where(Finding.host == host))}
    moment = now()
    for change in changes:
        row = rows.get(change.fingerprint)
        if row is None:
            row = Finding(
                fingerprint=change.fingerprint, control=change.control, host=host, object=change.object
            )
            session.add(row)
        row.severity, row.state = change.severity, change.state.value
        if change.verdict is None:
            row.fixed_at = moment
        else:
            row.message, row.last_seen, row.fixed_at = change.verdict.message, moment, None


def _event(host: str, change: Change) -> dict[str, Any]:
    return {
        "fingerprint": change.fingerprint,
        "control": change.control,
        "host": host,
        "object": change.object,
        "severity": change.severity,
        "state": change.state.value,
        "message": change.verdict.message if change.verdict else "",
    }
