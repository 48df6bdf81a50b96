"""Schedules of a real CMDB as units that systemd itself reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from drcloud.cmdb.declared import Registry, Schedule

from .conftest import Site

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def declare(site: Site, name: str, calendar: str, playbook: str = "dianrong.cloud.compliance") -> None:
    with site.store.write(reason="test") as session:
        session.add(Schedule(name=name, playbook=playbook, calendar=calendar))


@needs_systemd
def test_systemd_accepts_the_units_also_with_awkward_values(site: Site) -> None:
    awkward = site.path / "100% of a dir"
    awkward.mkdir()
    declare(site, "nightly-compliance", "*-*-* 02:30:00", playbook="/srv/50%/a b.yml")

    code, out, err = site.call(
        "schedule", "install", "--directory", "units", variables={"DRCLOUD_INVENTORY": f"{awkward}/x y.yml"}
    )

    assert (code, err) == (0, "")
    assert "nightly-compliance.timer: written" in out
    files = sorted(str(file) for file in (site.path / "units").iterdir())
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, str(site.path) in verified.stderr) == (0, False)


@needs_systemd
def test_a_wrong_calendar_installs_nothing(site: Site) -> None:
    declare(site, "good", "daily")
    declare(site, "wrong", "every full moon")

    code, _, err = site.call("schedule", "install", "--directory", "units")

    assert code == 2
    assert "schedule wrong has no valid calendar" in err
    assert not (site.path / "units").exists()


def test_install_twice_list_and_remove(site: Site) -> None:
    declare(site, "nightly", "daily")

    first = site.call("schedule", "install", "nightly", "--directory", "units")
    before = {file: file.stat().st_mtime_ns for file in (site.path / "units").iterdir()}
    second = site.call("schedule", "install", "nightly", "--directory", "units")
    listed = site.call("schedule", "list", "--directory", "units", "--json")
    removed = site.call("schedule", "remove", "nightly", "--directory", "units")

    assert "written" in first[1]
    assert "unchanged" in second[1]
    assert {file: file.stat().st_mtime_ns for file in before if file.exists()} == {}
    assert '"installed": true' in listed[1]
    assert removed[0] == 0
    assert not list((site.path / "units").iterdir())


def test_secrets_stay_out_of_units(site: Site) -> None:
    declare(site, "nightly", "daily")
    with site.store.write(reason="test") as session:
        session.add(Registry(name="main", endpoint="r.example:5000", password="env:REGISTRY_PASSWORD"))

    code, out, _ = site.call(
        "schedule", "install", "--directory", "units", variables={"REGISTRY_PASSWORD": "s3cret"}
    )

    assert code == 0
    assert "drcloud.env (mode 0600): REGISTRY_PASSWORD" in out
    assert "s3cret" not in "".join(file.read_text() for file in (site.path / "units").iterdir())


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["install", "nosuch"], 2, "there is no schedule 'nosuch'"),
        (["install"], 4, "declares no schedules"),
        (["run", "nosuch"], 2, "there is no schedule 'nosuch'"),
        (["remove", "nosuch", "--directory", "units"], 4, "has no units"),
    ],
)
def test_bad_input(site: Site, words: list[str], code: int, sentence: str) -> None:
    got, _, err = site.call("schedule", *words)

    assert (got, sentence in err) == (code, True)


def test_what_the_timer_calls(site: Site) -> None:
    playbook = site.playbook("ok.yml", {"name": "Ping", "ansible.builtin.ping": {}}, hosts="one")
    with site.store.write(reason="test") as session:
        session.add(Schedule(name="ping", playbook=playbook, calendar="daily", inventory=site.hosts))

    code, _, _ = site.call("schedule", "run", "ping")

    assert code == 0
    assert [row.source for row in site.runs()] == ["schedule:ping"]
    assert Path(site.runs()[0].playbook) == Path(playbook)
