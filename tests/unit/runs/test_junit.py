"""A run as a JUnit report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode
from drcloud.runs import Failure, RunOutcome, junit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def outcome(code: ExitCode, *failures: Failure, stats: dict[str, dict[str, int]] | None = None) -> RunOutcome:
    return RunOutcome("u", code, "message", NOW, NOW, failures=failures, stats=stats or {})


def test_a_case_per_host() -> None:
    report = junit.report(
        "p.yml",
        outcome(
            ExitCode.FAILED, Failure("b", "Task", "no\x00pe"), stats={"a": {"ok": 1}, "b": {"failed": 1}}
        ),
    )

    assert (report.get("tests"), report.get("failures")) == ("2", "1")
    failure = report.find("testcase[@name='b']/failure")
    assert failure is not None
    assert failure.get("message") == "Task: no?pe"


def test_a_run_without_hosts_is_a_failed_case() -> None:
    report = junit.report("p.yml", outcome(ExitCode.NOTHING_MATCHED))

    assert report.get("failures") == "1"


def test_findings_per_host_or_for_all() -> None:
    assert junit.report("p", outcome(ExitCode.TIMED_OUT, stats={"a": {"ok": 1}})).get("failures") == "1"


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot write"):
        junit.write(tmp_path / "no/such/file.xml", "p", outcome(ExitCode.OK))
