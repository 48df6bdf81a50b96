"""Package, collection and ansible-core must belong together, and the other collections be there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from drcloud import __version__
from drcloud.doctor.context import Context, Found
from drcloud.doctor.finding import Finding, fine, problem, skipped, warning

OURS = "dianrong.cloud"
CORE = "ansible-core"
CHECK = "versions"
COLLECTIONS = "collections"
LIST_SECONDS = 120
CORE_SAYS = re.compile(r"\[core ([^\]]+)\]")
PYTHON_SAYS = re.compile(r"^\s*python version = .*\(([^()]+)\)\s*$", re.MULTILINE)


def core(_context: Context) -> Iterator[Finding]:
    """Compare ansible-core with what this drCloud needs, and with what the shell calls."""
    version = importlib.metadata.version(CORE)
    wanted = _wanted_core()
    if not wanted.contains(version, prereleases=True):
        advice = f"{sys.executable} -m pip install '{CORE}{wanted}'"
        yield problem(CHECK, CORE, f"{version}, and drcloud {__version__} needs {wanted}", advice)
    else:
        yield fine(CHECK, CORE, f"{version} fits drcloud {__version__} ({wanted})")
    yield from _command(version)


def collection(context: Context) -> Iterator[Finding]:
    """Compare the collection that Ansible finds with this package."""
    found = _listed(context)
    if found is None:
        yield skipped(CHECK, OURS, "ansible-galaxy does not list the collections")
    elif OURS not in found:
        advice = f"install it with the package ({sys.executable} -m pip install drcloud=={__version__})"
        yield problem(CHECK, OURS, "Ansible does not find the collection", advice)
    elif found[OURS][0] != __version__:
        version, path = found[OURS]
        advice = f"make them one version: remove {path} or install drcloud {version}"
        yield problem(
            CHECK, OURS, f"collection {version} in {path}, and the package drcloud is {__version__}", advice
        )
    else:
        yield fine(CHECK, OURS, f"collection and package are both {__version__}")


def required(context: Context) -> Iterator[Finding]:
    """Compare the collections that ``requirements.yml`` names with those that Ansible finds."""
    if context.requirements is None:
        yield skipped(COLLECTIONS, "requirements.yml", "there is none here: drCloud itself needs no other")
        return
    found = _listed(context)
    if found is None:
        yield skipped(COLLECTIONS, str(context.requirements), "ansible-galaxy does not list the collections")
        return
    for name, wanted in _requirements(context.requirements):
        yield _fit(name, wanted, found, context.requirements)


def _fit(name: str, wanted: str, found: Found, path: Path) -> Finding:
    advice = f"ansible-galaxy collection install -r {path}"
    if name not in found:
        return problem(COLLECTIONS, name, f"is not installed ({wanted} is wanted)", advice)
    version = found[name][0]
    try:
        fits = wanted in ("*", "") or SpecifierSet(wanted).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return warning(COLLECTIONS, name, f"{version}: {wanted!r} cannot be compared with it", f"edit {path}")
    if fits:
        return fine(COLLECTIONS, name, f"{version} ({wanted})")
    return problem(COLLECTIONS, name, f"{version}, and {wanted} is wanted", advice)


def _wanted_core() -> SpecifierSet:
    for line in importlib.metadata.requires("drcloud") or ():
        requirement = Requirement(line)
        if requirement.name == CORE:
            return requirement.specifier
    return SpecifierSet()


def _command(version: str) -> Iterator[Finding]:
    """Tell whether ``ansible-playbook`` as typed is the one that drCloud runs with."""
    name = "ansible-playbook"
    path = shutil.which(name)
    if path is None:
        advice = f"put {Path(sys.executable).parent} on your PATH to use it by hand"
        yield warning(CHECK, name, "is not on the PATH", advice)
        return
    said = _output([path, "--version"]) or ""
    core_said, python_said = CORE_SAYS.search(said), PYTHON_SAYS.search(said)
    if core_said is None:
        yield problem(CHECK, name, f"{path} does not tell its version", "reinstall ansible-core")
    elif core_said[1] != version:
        python = f" of {python_said[1]}" if python_said else ""
        advice = f"call the one in {Path(sys.executable).parent}, or put that directory first on the PATH"
        message = f"{path} is core {core_said[1]}{python}, and drcloud runs with {version}"
        yield problem(CHECK, name, message, advice)
    else:
        yield fine(CHECK, name, f"{path} is core {version}")


def _listed(context: Context) -> Found | None:
    """Return the collections that Ansible finds, asked once a visit; None if it does not tell."""
    if not context.collections:
        context.collections.append(_installed())
    return context.collections[0]


def _installed() -> Found | None:
    """Return the collections that Ansible finds, with version and place; None if it does not tell."""
    said = _output([_program("ansible-galaxy"), "collection", "list", "--format", "json"])
    try:
        listed: Mapping[str, Mapping[str, Mapping[str, Any]]] = json.loads(said or "")
    except ValueError:
        return None
    found: dict[str, tuple[str, str]] = {}
    # ansible-galaxy lists places in no order; Ansible takes a collection from the first configured one.
    configured = _configured()
    for path in sorted(listed, key=lambda place: _rank(place, configured)):
        for name, details in listed[path].items():
            found.setdefault(name, (str(details.get("version")), path))
    return found


def _configured() -> list[str]:
    """Return the directories that Ansible is told to look for collections in, the first one first."""
    said = _output([_program("ansible-config"), "dump", "--format", "json"])
    try:
        settings: list[Mapping[str, Any]] = json.loads(said or "")
    except ValueError:
        return []
    paths = next((one["value"] for one in settings if one.get("name") == "COLLECTIONS_PATHS"), ())
    return [os.path.abspath(path) for path in paths]


def _rank(place: str, configured: list[str]) -> int:
    """Return a place's turn; those that come with Python are looked through last."""
    names = (place, str(Path(place).parent))
    return next((turn for turn, path in enumerate(configured) if path in names), len(configured))


def _program(name: str) -> str:
    """Return the program beside our interpreter, else the one on the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def _output(words: list[str]) -> str | None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LIST_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout


def _requirements(path: Path) -> Iterator[tuple[str, str]]:
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    entries = content.get("collections") or () if isinstance(content, Mapping) else ()
    for entry in entries:
        if isinstance(entry, str):
            yield entry.partition(":")[0], "*"
        else:
            yield str(entry["name"]), str(entry.get("version", "*"))
