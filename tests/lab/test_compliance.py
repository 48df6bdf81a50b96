"""Compliance of real hosts: a clean lab, an exposed Remote API, bad containers, a host that hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import select

from drcloud.cmdb.declared import Host
from drcloud.cmdb.operational import EvidenceSeen, Finding
from drcloud.cmdb.store import Store
from drcloud.compliance.controls import ALL
from drcloud.lab import status
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
Run = Callable[..., subprocess.CompletedProcess[str]]
TARGET, OTHER = "dk-05", "dk-06"
PLAYBOOK = "dianrong.cloud.compliance"
REMOTE_API = "remote-api-unauthenticated"
DAEMON_CONTROLS = {
    "live-restore",
    "insecure-registries",
    "docker-socket-permissions",
    "daemon-config-permissions",
}
# systemd's own relay lends the engine's socket to the network, and the engine itself stays as it is.
EXPOSE = (
    "sudo systemd-run --quiet --unit drc-test-expose --socket-property=ListenStream=0.0.0.0:2375 "
    "/lib/systemd/systemd-socket-proxyd /run/docker.sock"
)
HIDE = "sudo systemctl stop drc-test-expose.socket drc-test-expose.service"
IMAGE = "drc-test-compliance:1"
ADD_CONTAINER = (
    f"tar --create --files-from /dev/null | sudo docker import - {IMAGE} >/dev/null && "
    f"sudo docker create --name drc-test-bad --privileged --pid host --volume /run:/host:ro {IMAGE} /nothing"
)
REMOVE_CONTAINER = f"sudo docker rm --force drc-test-bad; sudo docker rmi --force {IMAGE}"


@pytest.fixture
def compliance(provisioned: Lab) -> Run:
    """Call ``drcloud compliance run --json`` on the lab."""

    def run(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "drcloud", "compliance", *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=timeout, cwd=provisioned.checkout
        )

    return run


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the report that a command printed."""
    assert done.stdout.startswith("{"), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def outcomes(report: dict[str, Any], host: str) -> dict[str, dict[str, Any]]:
    """Return what the controls say of a host."""
    found = next(one for one in report["hosts"] if one["host"] == host)
    return {control["control"]: control for control in found["controls"]}


def junit(path: Path, host: str) -> dict[str, list[str]]:
    """Return for each case of a host the tags inside it."""
    suites = {suite.get("name"): suite for suite in ElementTree.parse(path).getroot()}
    return {str(case.get("name")): [inner.tag for inner in case] for case in suites[host]}


def finding(control: str) -> tuple[str, str] | None:
    """Return object and state of the one finding of a control on the target."""
    with Store.open().read() as session:
        row = session.scalars(
            select(Finding)
            .where(Finding.host == TARGET, Finding.control == control)
            .order_by(Finding.last_seen.desc())
            .limit(1)
        ).one_or_none()
        return (row.object, row.state) if row else None


@pytest.fixture
def exposed(provisioned: Lab, on: Run) -> Iterator[None]:
    """The engine of the target answers everybody on port 2375."""
    done = on(TARGET, EXPOSE)
    assert done.returncode == 0, done.stderr
    yield
    on(TARGET, HIDE)


@pytest.fixture
def bad_container(provisioned: Lab, on: Run) -> Iterator[None]:
    """A container on the target that never ran and must never run."""
    done = on(TARGET, ADD_CONTAINER)
    assert done.returncode == 0, done.stderr
    yield
    on(TARGET, REMOVE_CONTAINER)


@pytest.fixture
def hanging(provisioned: Lab) -> Iterator[None]:
    """A host that takes connections and says nothing."""
    container = f"{provisioned.name}-{OTHER}"
    engine = {**os.environ, **status.environment(provisioned)}
    subprocess.run(["docker", "pause", container], check=True, capture_output=True, env=engine)
    yield
    subprocess.run(["docker", "unpause", container], check=True, capture_output=True, env=engine)


def test_the_provisioned_lab_complies_and_nothing_changes_on_it(compliance: Run) -> None:
    done = compliance("run", "--json")
    report = document(done)
    assert done.returncode == 0, report["message"]
    assert all(host["seen"] for host in report["hosts"])
    with Store.open().read() as session:
        expected = session.scalars(select(Host.name).where(Host.state.not_in(("planned", "retired")))).all()
    assert {host["host"] for host in report["hosts"]} == set(expected)
    for name in (host["host"] for host in report["hosts"] if host["host"].startswith("dk-")):
        found = outcomes(report, name)
        assert set(found) == {control.slug for control in ALL}
        assert found[REMOTE_API]["status"] == "pass"
        assert {found[slug]["status"] for slug in DAEMON_CONTROLS} == {"pass"}
    assert outcomes(report, "lb-01")["live-restore"]["status"] == "not-applicable"
    assert all(not counts.get("changed") for counts in report["run"]["hosts"].values())


def test_a_host_that_did_not_change_gives_the_same_evidence(compliance: Run) -> None:
    for _ in range(2):
        assert compliance("run", "--json", "--limit", TARGET).returncode == 0
    with Store.open().read() as session:
        seen = select(EvidenceSeen.evidence_id).join(Host).where(Host.name == TARGET)
        newest = session.scalars(seen.order_by(EvidenceSeen.id.desc()).limit(2)).all()
    assert len(newest) == 2
    assert len(set(newest)) == 1


def test_an_exposed_remote_api_is_proved_by_handshake(
    compliance: Run, exposed: None, on: Run, tmp_path: Path
) -> None:
    xml = tmp_path / "compliance.xml"
    done = compliance("run", "--json", "--limit", TARGET, "--junit", str(xml))
    report = document(done)
    assert done.returncode == 10, report["message"]
    found = outcomes(report, TARGET)[REMOTE_API]
    assert found["status"] == "fail"
    problem = found["problems"][0]
    assert problem["object"] == "tcp:2375"
    assert problem["state"] in ("new", "regressed")
    assert "handshake without credentials made from the controller" in problem["message"]
    assert junit(xml, TARGET)[REMOTE_API] == ["failure"]
    assert document(compliance("run", "--json", "--limit", TARGET))["hosts"][0]["controls"][0]["problems"][0][
        "state"
    ] == ("open")

    assert on(TARGET, HIDE).returncode == 0
    done = compliance("run", "--json", "--limit", TARGET)
    assert done.returncode == 0
    assert document(done)["hosts"][0]["fixed"] == [f"{REMOTE_API} tcp:2375"]
    assert finding(REMOTE_API) == ("tcp:2375", "fixed")


def test_a_stopped_container_that_could_take_over_the_host_is_found(
    compliance: Run, bad_container: None
) -> None:
    done = compliance("run", "--json", "--limit", TARGET)
    report = document(done)
    assert done.returncode == 10, report["message"]
    found = outcomes(report, TARGET)
    for control in ("container-privileged", "container-docker-socket", "container-host-namespaces"):
        objects = [problem["object"] for problem in found[control]["problems"]]
        assert objects == ["container:drc-test-bad"]
    assert compliance("report", TARGET, "--json").returncode == 10


@pytest.mark.lab_slow
def test_a_hanging_host_is_not_taken_for_a_good_one(compliance: Run, hanging: None, tmp_path: Path) -> None:
    xml = tmp_path / "compliance.xml"
    done = compliance("run", "--json", "--limit", f"{TARGET},{OTHER}", "--junit", str(xml))
    report = document(done)
    assert done.returncode == 11, report["message"]
    assert {host["host"]: host["seen"] for host in report["hosts"]} == {TARGET: True, OTHER: False}
    assert f"not {OTHER}" in report["message"]
    assert junit(xml, OTHER)["coverage"] == ["error"]
    assert junit(xml, TARGET)["coverage"] == []


def test_plain_ansible_judges_too_and_a_check_records_nothing(
    provisioned: Lab, play: Run, tmp_path: Path
) -> None:
    with Store.open().read() as session:
        before = session.scalars(
            select(EvidenceSeen.id).order_by(EvidenceSeen.id.desc()).limit(1)
        ).one_or_none()
    xml = tmp_path / "compliance.xml"
    done = play(PLAYBOOK, "--limit", TARGET, "--check", "-e", f"compliance_junit={xml}")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "changed=0" in done.stdout
    assert junit(xml, TARGET)[REMOTE_API] == []
    with Store.open().read() as session:
        after = session.scalars(
            select(EvidenceSeen.id).order_by(EvidenceSeen.id.desc()).limit(1)
        ).one_or_none()
    assert after == before


def test_no_host_is_not_a_success(compliance: Run) -> None:
    done = compliance("run", "--limit", "no-such-host")
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
