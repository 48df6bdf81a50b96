"""Controls over recorded evidence: a case is a file of changes to a good host and the expected results."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.compliance.controls import ALL, BY_SLUG, Status
from drcloud.compliance.evidence import Evidence

HERE = Path(__file__).parent
CASES = sorted((HERE / "cases").glob("*.yml"))


def recorded() -> dict[str, Any]:
    """Return the evidence of a good host, as one was recorded."""
    return json.loads((HERE / "evidence" / "good.json").read_text())


def changed(document: Any, change: Any) -> Any:
    """Merge a change into a document (RFC 7396); ``None`` removes."""
    if not isinstance(change, dict):
        return change
    merged = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = changed(merged.get(key), value)
    return merged


def evidence_of(case: dict[str, Any]) -> Evidence:
    """Return the good host's evidence with the case's changes; ``container`` changes its one container."""
    change = dict(case.get("change") or {})
    document = recorded()
    if "container" in change:
        document["containers"] = [changed(document["containers"][0], change.pop("container"))]
    return Evidence(changed(document, change))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    control = BY_SLUG[case["control"]]
    verdicts = control.apply(evidence_of(case), case.get("role", "docker") == "docker")
    assert {verdict.object: verdict.status.value for verdict in verdicts} == case["expect"]
    said = "\n".join(verdict.message for verdict in verdicts)
    for text in case.get("says", ()):
        assert text in said


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.slug)
def test_every_control_has_a_passing_and_a_failing_case(control) -> None:
    expected = [yaml.safe_load(path.read_text()) for path in CASES]
    seen = {
        status for case in expected if case["control"] == control.slug for status in case["expect"].values()
    }
    assert {Status.PASS.value, Status.FAIL.value} <= seen


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.slug)
def test_a_good_host_passes(control) -> None:
    verdicts = control.apply(Evidence(recorded()), True)
    assert {verdict.status for verdict in verdicts} == {Status.PASS}


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.slug)
def test_what_was_not_seen_never_passes(control) -> None:
    verdicts = control.apply(Evidence.unseen("no route to host", []), True)
    assert verdicts
    assert {verdict.status for verdict in verdicts} == {Status.UNKNOWN}


@pytest.mark.parametrize("control", ALL, ids=lambda control: control.slug)
def test_every_unread_part_that_a_control_needs_shows(control) -> None:
    for part in control.parts:
        document = {**recorded(), "unread": {part: "permission denied"}}
        verdicts = control.apply(Evidence(document), True)
        assert any(verdict.status == Status.UNKNOWN and verdict.object == part for verdict in verdicts)


def test_ten_controls_with_names_reasons_and_remedies() -> None:
    assert len(ALL) == len(BY_SLUG) == 10
    assert all(control.rationale and control.remediation and control.parts for control in ALL)
