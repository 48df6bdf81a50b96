"""What the repository promises about itself: one version, a README in every room, nothing of one machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from drcloud import __version__

ROOT = Path(__file__).parents[2]
COLLECTION = ROOT / "collections/dianrong/cloud"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_package_and_the_collection_have_one_version() -> None:
    galaxy = yaml.safe_load((COLLECTION / "galaxy.yml").read_text("utf-8"))
    declared = re.search(
        r'^VERSION = "(.+)"$',
        (COLLECTION / "plugins/plugin_utils/_version.py").read_text("utf-8"),
        re.MULTILINE,
    )
    assert declared is not None
    assert {galaxy["version"], declared[1]} == {__version__}


ROOMS = [
    ".",
    "apps",
    "collections",
    "collections/dianrong/cloud",
    "docs",
    "docs/decisions",
    "inventories",
    "inventories/idc",
    "inventories/lab",
    "jenkins",
    "molecule",
    "playbooks",
    "plugins",
    "roles",
    "roles/lab_hosts",
    "roles/site_baseline",
    "scripts",
    "src/drcloud",
    "tests",
]


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_belongs_there(room: str) -> None:
    assert (ROOT / room / "README.md").read_text("utf-8").strip()


ROLES = sorted(
    role
    for place in ("roles", "collections/dianrong/cloud/roles")
    for role in (ROOT / place).iterdir()
    if role.is_dir()
)
# The lab's own hosts are what all other scenarios work on.
SCENARIOS = {"lab_hosts": "default"}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_its_arguments_an_example_and_a_scenario(role: Path) -> None:
    assert "options:" in (role / "meta/argument_specs.yml").read_text("utf-8")
    assert "```" in (role / "README.md").read_text("utf-8")
    scenario = ROOT / "molecule" / SCENARIOS.get(role.name, role.name)
    assert (scenario / "molecule.yml").is_file()
    assert any("def test_" in path.read_text("utf-8") for path in scenario.glob("tests/test_*.py"))


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*")), ids=lambda path: path.name)
def test_scripts_can_be_executed(script: Path) -> None:
    starts_with_interpreter = script.read_bytes().startswith(b"#!")
    assert os.access(script, os.X_OK) == starts_with_interpreter


def test_relative_links_of_the_documentation_lead_somewhere() -> None:
    dead = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def test_every_decision_is_listed_in_the_index() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs/decisions").glob("*.md")} - {"README.md"}
    assert pages
    assert sorted(page for page in pages if f"({page})" not in index) == []
