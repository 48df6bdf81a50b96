"""``drcloud compliance``: what it lists and what it says before there is anything to report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drcloud.cli.compliance import app
from drcloud.cmdb.store import Store
from drcloud.compliance.controls import ALL
from drcloud.errors import CmdbError, NothingMatchedError

ROOT = Path(__file__).parents[3]


def call(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_controls_as_data() -> None:
    told = json.loads(call("controls", "--json").stdout)["controls"]
    assert [control["control"] for control in told] == [control.slug for control in ALL]
    assert told[0]["cis"] == {"1.6.0": ["2.7"], "1.8.0": ["2.8"]}
    assert all(control["rationale"] and control["remediation"] for control in told)


def test_controls_for_people() -> None:
    assert all(control.slug in call("controls").stdout for control in ALL)


def test_the_documentation_shows_the_controls() -> None:
    assert call("controls", "--markdown").stdout in (ROOT / "docs" / "compliance.md").read_text()


def test_a_report_of_nothing_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{tmp_path}/cmdb.sqlite3")
    assert isinstance(call("report").exception, CmdbError)
    Store.create()
    error = call("report").exception
    assert isinstance(error, NothingMatchedError)
    assert "drcloud compliance run" in str(error)


def test_an_unknown_threshold_is_refused() -> None:
    assert call("report", "--threshold", "huge").exit_code == 2
