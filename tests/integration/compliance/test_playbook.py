"""The compliance playbook end to end with a real ansible-playbook, on this machine instead of a host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import EvidenceSeen, Finding, Run
from drcloud.cmdb.store import Store

ROOT = Path(__file__).parents[3]
HERE = {"here": {"ansible_connection": "local", "ansible_host": "127.0.0.1"}}
NOWHERE = {"nowhere": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-F none"}}
STRANGER = {"stranger": {"ansible_connection": "local", "ansible_host": "127.0.0.1"}}
RETIRED = {"old": {"ansible_host": "192.0.2.1", "dr_state": "retired"}}
EVERYWHERE = {"ansible_become": False, "ansible_python_interpreter": sys.executable}
Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{tmp_path}/cmdb.sqlite3")
    made = Store.create()
    with made.write(reason="a test") as session:
        session.add_all([Host(name=name, role="lb", state="active") for name in ("here", "nowhere")])
    return made


@pytest.fixture
def call(store: Store, tmp_path: Path) -> Call:
    """Run compliance on an inventory of these hosts."""

    def run(hosts: dict[str, Any], options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": EVERYWHERE}}))
        command = [
            sys.executable,
            "-m",
            "drcloud",
            "compliance",
            "run",
            "-i",
            str(inventory),
            "--json",
            *options,
        ]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=300)

    return run


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.startswith("{"), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def test_a_host_is_judged_and_recorded_under_the_run(call: Call, store: Store) -> None:
    told = report(call(HERE | RETIRED))
    assert [(host["host"], host["seen"]) for host in told["hosts"]] == [("here", True)]
    assert told["not_expected"] == {"old": "its state is retired"}
    assert not told["run"]["hosts"]["here"].get("changed")
    with store.read() as session:
        seen = session.scalars(select(EvidenceSeen)).one()
        assert seen.run_uid == session.scalars(select(Run)).one().uid == told["run"]["run"]


def test_a_host_that_does_not_answer_makes_the_coverage_incomplete(
    call: Call, store: Store, tmp_path: Path
) -> None:
    xml = tmp_path / "compliance.xml"
    done = call(HERE | NOWHERE, options=("--junit", str(xml), "--threshold", "critical"))
    told = report(done)
    assert {host["host"]: host["seen"] for host in told["hosts"]} == {"here": True, "nowhere": False}
    assert done.returncode == told["exit_code"] == 11
    assert "nowhere was not seen" in xml.read_text()
    with store.read() as session:
        assert session.scalars(select(Finding).where(Finding.host == "nowhere")).all() == []


def test_a_host_that_the_cmdb_does_not_know_is_named(call: Call) -> None:
    done = call(HERE | STRANGER)
    assert done.returncode == 2
    reasons = {host["host"]: host["reason"] for host in report(done)["hosts"]}
    assert "stranger" in reasons["stranger"]


def test_nothing_expected_is_no_success(call: Call) -> None:
    done = call(RETIRED)
    assert done.returncode == 4
    assert "nothing was judged" in report(done)["message"]
