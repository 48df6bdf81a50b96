"""``drcloud doctor``: versions that do not fit, a CMDB that is not there, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drcloud import __version__
from drcloud.doctor import versions
from drcloud.doctor.context import Context, Site, site
from drcloud.doctor.finding import Level
from drcloud.errors import InvalidInputError


def doctor(directory: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from drcloud.cli.main import main; main()", "doctor", *words],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_skewed_collections_and_no_cmdb(tmp_path: Path) -> None:
    (tmp_path / "requirements.yml").write_text(
        "collections:\n  - {name: example.missing, version: '>=1.0.0'}\n"
        "  - {name: example.old, version: '>=2,<3'}\n",
        encoding="utf-8",
    )
    for name, version in (("dianrong/cloud", "9.9.9"), ("example/old", "1.4.0")):
        space, _, short = name.partition("/")
        folder = tmp_path / "ansible_collections" / name
        folder.mkdir(parents=True)
        text = f"namespace: {space}\nname: {short}\nversion: {version}\nauthors: [x]\nreadme: README.md\n"
        (folder / "galaxy.yml").write_text(text, encoding="utf-8")
    done = doctor(
        tmp_path,
        "--json",
        ANSIBLE_COLLECTIONS_PATH=str(tmp_path),
        DRCLOUD_CMDB_URL=f"sqlite:///{tmp_path}/none.sqlite3",
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    assert done.returncode == 20, done.stderr
    told = json.loads(done.stdout)
    found = {one["subject"]: one for one in told["findings"]}
    assert told["exit_code"] == 20
    assert found["ansible-core"]["level"] == found["ansible-playbook"]["level"] == "ok"
    assert found["dianrong.cloud"]["message"].startswith("collection 9.9.9 in ")
    assert f"package drcloud is {__version__}" in found["dianrong.cloud"]["message"]
    assert found["example.missing"]["message"] == "is not installed (>=1.0.0 is wanted)"
    assert found["example.old"]["message"] == "1.4.0, and >=2,<3 is wanted"
    assert "ansible-galaxy collection install -r" in found["example.old"]["advice"]
    assert (found["the CMDB"]["level"], found["the CMDB"]["exit_code"]) == ("problem", 20)
    assert "drcloud init" in found["the CMDB"]["advice"]
    assert found["hosts"]["level"] == "skipped"


def test_another_ansible_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "ansible-playbook"
    other.write_text("#!/bin/sh\necho 'ansible-playbook [core 2.14.3]'\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    _, command = versions.core(Context(Site("x")))
    assert command.level is Level.PROBLEM
    assert f"{other} is core 2.14.3, and drcloud runs with 2." in command.message
    monkeypatch.setenv("PATH", "/nowhere")
    assert [one.level for one in versions.core(Context(Site("x")))] == [Level.OK, Level.WARNING]


def test_what_a_source_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/srv/data")
    path = tmp_path / "site.cmdb.yml"
    path.write_text(
        "plugin: dianrong.cloud.cmdb\nurl: sqlite:///${DATA}/c.sqlite3\n"
        "ssh: {directory: /x, identity_file: ${DATA}/id}\n".replace("${DATA}/id}", '"${DATA}/id"}'),
        encoding="utf-8",
    )
    assert site(str(path)) == Site(str(path), "sqlite:////srv/data/c.sqlite3", "/srv/data/id")
    assert site("hosts.ini") is None
    path.write_text("plugin: other\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"does not say plugin: dianrong\.cloud\.cmdb"):
        site(str(path))


def test_a_limit_that_fits_no_host_is_not_well(tmp_path: Path) -> None:
    (tmp_path / "idc.yml").write_text(
        "drcloud: 1\nprefixes: [{cidr: 10.90.0.0/24}]\n"
        "hosts: [{name: dk-01, role: docker, address: 10.90.0.11}]\n",
        encoding="utf-8",
    )
    url = {"DRCLOUD_CMDB_URL": f"sqlite:///{tmp_path}/cmdb.sqlite3", "DRCLOUD_INVENTORY": ""}
    for words in (["init"], ["cmdb", "import", "idc.yml"]):
        command = [sys.executable, "-m", "drcloud", *words]
        subprocess.run(command, cwd=tmp_path, env={**os.environ, **url}, check=True, capture_output=True)
    done = doctor(tmp_path, "-l", "dkk-*", **url)
    assert done.returncode == 4, done.stdout
    assert done.stderr == "drcloud: no host of the CMDB fits --limit dkk-*: `drcloud host list` has them\n"
