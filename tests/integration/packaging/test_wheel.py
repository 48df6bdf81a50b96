"""The artefacts as a user gets them: one wheel with the collection in it, and the collection on its own.

The wheel is built from the source archive and installed into a fresh virtual environment; everything is then
called from another directory, with nothing of this checkout on any path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from drcloud import __version__

ROOT = Path(__file__).parents[3]
IDC = """\
drcloud: 1
idcs:
  - code: bj1
    name: 北京一区
    rooms:
      - code: r1
        racks: [a01]
environments: [{name: prod}]
prefixes:
  - {cidr: 192.0.2.0/24, idc: bj1, purpose: management}
hosts:
  - {name: web-01, role: docker, rack: bj1/r1/a01, address: 192.0.2.11, ssh: {user: ops}}
"""


def call(command: Sequence[str | Path], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Installed:
    """A fresh virtual environment with only the wheel in it, and a directory to work in."""

    venv: Path
    home: Path

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_"))}
        environment = kept | {
            "PATH": f"{self.venv / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "DRCLOUD_CMDB_URL": f"sqlite:///{self.home}/cmdb.sqlite3",
        }
        environment |= variables
        return call([self.venv / "bin" / program, *arguments], cwd=self.home, env=environment)


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    call([sys.executable, "-m", "build", "--outdir", out, ROOT])
    return out


@pytest.fixture(scope="module")
def wheel(artefacts: Path) -> Path:
    (found,) = artefacts.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base = tmp_path_factory.mktemp("user")
    call([sys.executable, "-m", "venv", base / "venv"])
    pip = [base / "venv/bin/python", "-m", "pip", "--disable-pip-version-check"]
    call([*pip, "install", "--quiet", "--no-compile", wheel])
    (base / "home").mkdir()
    return Installed(base / "venv", base / "home")


def test_the_wheel_carries_the_collection_and_nothing_of_its_workshop(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "ansible_collections/dianrong/cloud/plugins/inventory/cmdb.py" in names
    assert "ansible_collections/dianrong/cloud/meta/runtime.yml" in names
    assert "drcloud/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "ansible_collections",
        "drcloud",
        f"drcloud-{__version__}.dist-info",
    }
    unwanted = ("ansible_collections/__init__.py", "ansible_collections/dianrong/__init__.py")
    assert [
        name for name in names if name in unwanted or "/cloud/tests/" in name or "__pycache__" in name
    ] == []


def test_the_wheel_has_every_file_of_the_collection(wheel: Path) -> None:
    listed = call(["git", "ls-files", "-z", "collections/dianrong/cloud"], cwd=ROOT).split("\0")
    workshop = ("collections/dianrong/cloud/tests/", "collections/dianrong/cloud/changelogs/fragments/")
    wanted = {
        name.replace("collections/", "ansible_collections/", 1)
        for name in listed
        if name and not name.startswith(workshop) and (ROOT / name).exists()
    }
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_the_command_tells_its_version(installed: Installed) -> None:
    assert installed.run("drcloud", "--version").strip() == f"drcloud {__version__}"


def test_ansible_finds_the_documentation_of_the_inventory_plugin(installed: Installed) -> None:
    shown = json.loads(installed.run("ansible-doc", "-t", "inventory", "--json", "dianrong.cloud.cmdb"))
    assert shown["dianrong.cloud.cmdb"]["doc"]["short_description"]


def test_ansible_finds_the_playbooks_of_the_collection(installed: Installed) -> None:
    shown = installed.run("ansible-playbook", "--list-hosts", "-i", "localhost,", "dianrong.cloud.provision")
    assert "site-packages/ansible_collections/dianrong/cloud/playbooks/provision.yml" in shown


def test_from_an_empty_cmdb_to_an_inventory_in_another_directory(installed: Installed) -> None:
    (installed.home / "idc.yml").write_text(IDC, "utf-8")
    (installed.home / "site.cmdb.yml").write_text("plugin: dianrong.cloud.cmdb\n", "utf-8")
    installed.run("drcloud", "init")
    installed.run("drcloud", "cmdb", "import", "idc.yml")
    inventory = json.loads(installed.run("ansible-inventory", "-i", "site.cmdb.yml", "--list"))
    assert inventory["rack_bj1_r1_a01"]["hosts"] == ["web-01"]
    # What the CMDB says is not trusted as a template, and ansible-inventory marks it so.
    assert inventory["_meta"]["hostvars"]["web-01"]["ansible_host"] == {"__ansible_unsafe": "192.0.2.11"}


def test_the_command_completes_in_the_shell(installed: Installed) -> None:
    asked = {"_DRCLOUD_COMPLETE": "complete_bash", "COMP_WORDS": "drcloud cm", "COMP_CWORD": "1"}
    assert installed.run("drcloud", **asked).split() == ["cmdb"]


def test_the_collection_builds_on_its_own(tmp_path: Path) -> None:
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    call([galaxy, "collection", "build", "--output-path", tmp_path, ROOT / "collections/dianrong/cloud"])
    assert (tmp_path / f"dianrong-cloud-{__version__}.tar.gz").is_file()
