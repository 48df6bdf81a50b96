"""What ``ansible-inventory`` says of a source: for expressions that only Ansible can evaluate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from drcloud.cmdb.grouping import above
from drcloud.cmdb.sourcefile import SourceFile
from drcloud.errors import InvalidInputError
from drcloud.runs import environment

# What a source says about files.
NOT_ASKED = frozenset({"ssh", "cached", "cache_directory", "use_stale_cache"})
EVERYWHERE = ("dr_registries",)
SECONDS = 1800


def members(source: SourceFile, group: str) -> set[str]:
    """Return the hosts of a group, those of its child groups included."""
    _, groups = _listed(source, {})
    return {host for host, names in groups.items() if group in names}


def contents(source: SourceFile, as_of: str) -> tuple[dict[str, Mapping[str, Any]], dict[str, set[str]]]:
    """Return the variables and the groups of all hosts as of a moment; hosts may be missing altogether."""
    return _listed(source, {"as_of": as_of, "drift": False})


def _listed(
    source: SourceFile, changes: Mapping[str, Any]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, set[str]]]:
    """List a copy of the source, which may match no host and writes no files."""
    asked = {name: value for name, value in source.content.items() if name not in NOT_ASKED}
    with tempfile.TemporaryDirectory(prefix="drcloud-inventory-") as directory:
        path = Path(directory) / "source.cmdb.yml"
        text = yaml.safe_dump({**asked, **changes, "allow_empty": True}, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        result = _run(str(path))
    if result.returncode:
        raise InvalidInputError(f"Ansible cannot read the inventory source: {_sentence(result.stderr)}")
    listing = json.loads(result.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
    hosts = dict(listing.pop("_meta")["hostvars"])
    return _apart(hosts), _groups(hosts, listing)


def _run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ansible", "inventory", "-i", source, "--list"],
        env=environment.compose(os.environ, {}, os.environ),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def _apart(hosts: dict[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the variables of hosts, and those of all of them once."""
    shared = next(iter(hosts.values()), {})
    everywhere = {name: shared[name] for name in EVERYWHERE if name in shared}
    own = {
        host: {name: value for name, value in variables.items() if name not in EVERYWHERE}
        for host, variables in hosts.items()
    }
    return {**own, "all": everywhere}


def _groups(hosts: Mapping[str, Any], listing: Mapping[str, Any]) -> dict[str, set[str]]:
    direct: dict[str, list[str]] = defaultdict(list)
    for parent, group in listing.items():
        for child in group.get("children", ()):
            direct[child].append(parent)
    found: dict[str, set[str]] = {host: set() for host in (*hosts, "all")}
    for name, group in listing.items():
        for host in group.get("hosts", ()):
            found[host] |= {name, *above(name, direct)} - {"all", "ungrouped"}
    return found


def _sentence(said: str) -> str:
    """Return what ansible-core complains of, without its warnings about other readers of the file."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("[ERROR]", "[WARNING]: Failed to parse"))]
    return (told or lines or ["it says nothing"])[0]
