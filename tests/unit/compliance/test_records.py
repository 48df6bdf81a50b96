"""Evidence and findings in a real CMDB."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import Evidence as EvidenceRow
from drcloud.cmdb.operational import EvidenceSeen, Finding, Outbox
from drcloud.cmdb.store import Store
from drcloud.compliance import records, replay
from drcloud.compliance.audit import audit
from drcloud.errors import InvalidInputError, NotFoundError
from drcloud.exitcodes import ExitCode

DAY = timedelta(days=1)
PROBE = {"address": "10.90.0.11", "port": 2375, "state": "closed", "source": "the controller"}
OPEN = {**PROBE, "state": "open", "engine": "20.10.24", "api": "1.41"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(f"sqlite:///{tmp_path}/cmdb.sqlite3")
    with made.write(reason="a test") as session:
        session.add(Host(name="dk-01", role="docker", state="active"))
        session.add(Host(name="dk-02", role="docker", state="active"))
        session.add(Host(name="dk-03", role="docker", state="planned"))
    return made


@pytest.fixture
def good() -> dict[str, Any]:
    document = json.loads((Path(__file__).parent / "evidence" / "good.json").read_text())
    del document["probes"]
    return document


def findings(store: Store) -> dict[tuple[str, str], str]:
    with store.read() as session:
        return {(row.control, row.object): row.state for row in session.scalars(select(Finding))}


def test_a_finding_is_new_then_open_then_fixed_then_regressed(store: Store, good: dict[str, Any]) -> None:
    key = ("remote-api-unauthenticated", "tcp:2375")
    for probe, state in (
        (OPEN, "new"),
        (OPEN, "open"),
        (PROBE, "fixed"),
        (OPEN, "regressed"),
        (OPEN, "open"),
    ):
        outcome = audit("dk-01", "docker", good, probes=[probe], store=store)
        assert findings(store) == {key: state}
        assert outcome.fixed == (("remote-api-unauthenticated tcp:2375",) if state == "fixed" else ())
    with store.read() as session:
        told = session.scalars(select(Outbox).order_by(Outbox.id)).all()
        assert [row.type for row in told] == ["finding.new", "finding.fixed", "finding.regressed"]
        assert {row.subject for row in told} == {"host:dk-01"}


def test_the_same_evidence_is_kept_once(store: Store, good: dict[str, Any]) -> None:
    for host in ("dk-01", "dk-02", "dk-01"):
        audit(host, "docker", good, probes=[PROBE], store=store)
    with store.read() as session:
        assert len(session.scalars(select(EvidenceRow)).all()) == 1
        assert len(session.scalars(select(EvidenceSeen)).all()) == 3
        kept = records.newest(session)
    assert [one.host for one in kept] == ["dk-01", "dk-02"]
    assert kept[0].evidence.document == {**good, "probes": [PROBE]}


def test_a_host_that_cannot_be_entered_keeps_its_findings(store: Store, good: dict[str, Any]) -> None:
    good["info"]["LiveRestoreEnabled"] = False
    audit("dk-01", "docker", good, probes=[PROBE], store=store)
    outcome = audit("dk-01", "docker", None, probes=[PROBE], reason="no route to host", store=store)
    assert not outcome.seen
    assert findings(store) == {("live-restore", "engine"): "new"}


def test_what_a_stranger_proves_counts_without_entering_the_host(store: Store) -> None:
    audit("dk-01", "docker", None, probes=[OPEN], reason="no route to host", store=store)
    assert findings(store) == {("remote-api-unauthenticated", "tcp:2375"): "new"}
    with store.read() as session:
        assert session.scalars(select(EvidenceSeen)).all() == []


def test_without_a_store_nothing_is_recorded(store: Store, good: dict[str, Any]) -> None:
    outcome = audit("dk-01", "docker", good, probes=[OPEN])
    assert outcome.controls[0].problems[0].state is None
    assert findings(store) == {}


def test_an_unknown_host_is_named(store: Store, good: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="dk-1"):
        audit("dk-1", "docker", good, probes=[PROBE], store=store)


def test_evidence_of_another_schema_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="schema 99"):
        audit("dk-01", "docker", {"schema": 99}, probes=[])


def test_the_report_judges_recorded_evidence_again(store: Store, good: dict[str, Any]) -> None:
    audit("dk-01", "docker", good, probes=[OPEN], store=store)
    with store.read() as session:
        everything = replay.report(session, "high", DAY)
        only = replay.report(session, "high", DAY, ["dk-01"])
        stale = replay.report(session, "high", timedelta(0), ["dk-01"])
    assert [(host.host, host.seen) for host in everything.hosts] == [("dk-01", True), ("dk-02", False)]
    assert everything.not_expected == {"dk-03": "its state is planned"}
    assert everything.exit_code == ExitCode.INCOMPLETE
    assert only.exit_code == ExitCode.FINDINGS
    assert stale.exit_code == ExitCode.INCOMPLETE
    assert "newest evidence is of" in stale.unseen[0].reason
    assert only.hosts[0].controls[0].problems[0].state == "new"
