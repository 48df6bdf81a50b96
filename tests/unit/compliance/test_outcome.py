"""The exit code of a run, its sentence and its reports."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from drcloud.compliance import junit
from drcloud.compliance.controls import Status
from drcloud.compliance.outcome import ControlOutcome, HostOutcome, Problem, Report
from drcloud.compliance.report import show
from drcloud.exitcodes import ExitCode

HIGH, MEDIUM = "live-restore", "container-image-digest"


def control(slug: str, status: Status, message: str = "why") -> ControlOutcome:
    problems = (Problem(object="engine", status=status, message=message, state="new"),)
    bad = status in (Status.FAIL, Status.UNKNOWN)
    return ControlOutcome(control=slug, status=status, passed=not bad, problems=problems if bad else ())


def host(*controls: ControlOutcome, name: str = "dk-01") -> HostOutcome:
    return HostOutcome(host=name, seen=True, controls=controls)


UNSEEN = HostOutcome(host="dk-02", seen=False, reason="no route to host")


@pytest.mark.parametrize(
    ("threshold", "hosts", "code"),
    [
        ("high", (host(control(HIGH, Status.PASS)),), ExitCode.OK),
        ("high", (host(control(HIGH, Status.NOT_APPLICABLE)),), ExitCode.OK),
        ("high", (host(control(HIGH, Status.FAIL)),), ExitCode.FINDINGS),
        ("critical", (host(control(HIGH, Status.FAIL)),), ExitCode.OK),
        ("high", (host(control(MEDIUM, Status.FAIL)),), ExitCode.OK),
        ("medium", (host(control(MEDIUM, Status.FAIL)),), ExitCode.FINDINGS),
        ("critical", (host(control(MEDIUM, Status.UNKNOWN)),), ExitCode.INCOMPLETE),
        ("high", (host(control(HIGH, Status.PASS)), UNSEEN), ExitCode.INCOMPLETE),
        ("high", (host(control(HIGH, Status.FAIL)), UNSEEN), ExitCode.INCOMPLETE),
        ("high", (host(control("retired-control", Status.FAIL)),), ExitCode.FINDINGS),
        ("high", (), ExitCode.NOTHING_MATCHED),
    ],
)
def test_exit_code(threshold: str, hosts: tuple[HostOutcome, ...], code: ExitCode) -> None:
    assert Report(threshold=threshold, hosts=hosts).exit_code == code


def test_a_report_survives_its_document() -> None:
    report = Report(
        hosts=(host(control(HIGH, Status.FAIL)), UNSEEN), not_expected={"dk-09": "its state is planned"}
    )
    assert Report.model_validate(report.document()) == report


def test_the_sentence_names_who_was_not_seen() -> None:
    report = Report(hosts=(host(control(HIGH, Status.FAIL), control(MEDIUM, Status.FAIL)), UNSEEN))
    assert report.sentence == "1 of 2 hosts seen (not dk-02), 2 findings, 1 at or above high"


def test_the_terminal_shows_findings_coverage_and_the_sentence() -> None:
    text = io.StringIO()
    report = Report(hosts=(host(control(HIGH, Status.FAIL, "live restore is [off]")), UNSEEN))
    show(report, Console(file=text, width=100))
    assert "new       dk-01 live-restore: live restore is [off]" in text.getvalue()
    assert "not seen dk-02: no route to host" in text.getvalue()
    assert text.getvalue().endswith(report.sentence + "\n")


def cases(report: Report) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(junit.render(report).encode())
    return {f"{case.get('classname')} {case.get('name')}": case for case in root.iter("testcase")}


def kinds(report: Report) -> dict[str, str]:
    return {name: case[0].tag if len(case) else "passed" for name, case in cases(report).items()}


def test_junit_has_a_case_for_each_host_and_control() -> None:
    report = Report(
        hosts=(
            host(control(HIGH, Status.FAIL), control(MEDIUM, Status.FAIL)),
            host(control(HIGH, Status.UNKNOWN), control(MEDIUM, Status.NOT_APPLICABLE), name="dk-03"),
            host(control(HIGH, Status.PASS), name="dk-04"),
            UNSEEN,
        )
    )
    assert kinds(report) == {
        "compliance.dk-01 coverage": "passed",
        f"compliance.dk-01 {HIGH}": "failure",
        f"compliance.dk-01 {MEDIUM}": "skipped",
        "compliance.dk-03 coverage": "passed",
        f"compliance.dk-03 {HIGH}": "error",
        f"compliance.dk-03 {MEDIUM}": "skipped",
        "compliance.dk-04 coverage": "passed",
        f"compliance.dk-04 {HIGH}": "passed",
        "compliance.dk-02 coverage": "error",
    }
    root = ElementTree.fromstring(junit.render(report).encode())
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["9", "1", "2", "2"]


def test_an_empty_report_is_an_error_in_junit() -> None:
    assert kinds(Report(trouble="no host matched")) == {"compliance coverage": "error"}


@given(st.text(), st.text(min_size=1))
def test_junit_carries_any_text(message: str, name: str) -> None:
    report = Report(hosts=(host(control(HIGH, Status.FAIL, message), name=name),))
    assert len(cases(report)) == 2
