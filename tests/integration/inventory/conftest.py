"""A scratch CMDB and real ansible commands that read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store

REPOSITORY = Path(__file__).parents[3]
IDC = REPOSITORY / "inventories" / "idc" / "idc.yml"


@dataclass(frozen=True)
class Controller:
    """A directory from which ansible and drcloud are run, with a CMDB of its own."""

    directory: Path
    environment: dict[str, str]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this virtual environment and return what it said."""
        program = Path(sys.executable).parent / command[0]
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.directory,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def good(self, *command: str, **environment: str) -> str:
        """Run a program that has to succeed and return its output."""
        result = self.run(*command, **environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def source(self, text: str = "", name: str = "site.cmdb.yml") -> str:
        """Write an inventory source and return its name."""
        (self.directory / name).write_text(f"plugin: dianrong.cloud.cmdb\n{text}", encoding="utf-8")
        return name

    def load(self, document: dict[str, Any], ticket: str | None = None) -> None:
        """Import the content of a CMDB file."""
        path = self.directory / "fleet.yml"
        path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        importer.import_files(
            Store.open(self.environment["DRCLOUD_CMDB_URL"]), importer.Request((path,)), ticket=ticket
        )

    def inventory(self, source: str) -> dict[str, Any]:
        """Return what ``ansible-inventory --list`` prints, with plain strings for what it marks as data."""
        printed = self.good("ansible-inventory", "-i", source, "--list")
        return json.loads(printed, object_hook=lambda found: found.get("__ansible_unsafe", found))


def controller_in(directory: Path) -> Controller:
    """Return a controller with an empty CMDB, away from the repository and the user's own files."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    url = f"sqlite:///{directory}/cmdb.sqlite3"
    environment = keep | {
        "HOME": str(directory),
        "DRCLOUD_CMDB_URL": url,
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUTF8": "1",
    }
    Store.create(url)
    return Controller(directory, environment)


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """A controller with an empty CMDB of its own."""
    return controller_in(tmp_path)


@pytest.fixture(scope="module")
def idc(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    """A controller with the example of a company's IDC, to be read only."""
    found = controller_in(tmp_path_factory.mktemp("idc"))
    importer.import_files(Store.open(found.environment["DRCLOUD_CMDB_URL"]), importer.Request((IDC,)))
    return found


@pytest.fixture
def fleet() -> Callable[..., dict[str, Any]]:
    """Make a CMDB file with hosts dk-00001 and on, in racks of 40."""

    def make(count: int, **host: Any) -> dict[str, Any]:
        racks = [f"a{number:03d}" for number in range(count // 40 + 1)]
        return {
            "drcloud": 1,
            "idcs": [{"code": "sh1", "rooms": [{"code": "2f", "racks": racks}]}],
            "prefixes": [{"cidr": "10.64.0.0/10", "idc": "sh1"}],
            "hosts": [
                {
                    "name": f"dk-{number:05d}",
                    "role": "docker",
                    "rack": f"sh1/2f/{racks[number // 40]}",
                    "address": f"10.64.{number // 250}.{number % 250 + 1}",
                    "block_devices": [{"path": "/dev/sdb", "purpose": "spare"}],
                    **host,
                }
                for number in range(count)
            ],
        }

    return make
