"""A scratch CMDB on either engine, and real ansible-playbook runs against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store

REPOSITORY = Path(__file__).parents[3]
IDC = """\
drcloud: 1
idcs:
  - code: bj1
    name: 北京一号机房
    rooms:
      - {code: r1, racks: [a01, a02]}
environments: [{name: qa}, {name: prod}]
prefixes:
  - {cidr: 10.90.0.0/24, idc: bj1}
registries:
  - {name: main, endpoint: "registry.example:5000"}
hosts:
  - {name: dk-01, role: docker, rack: bj1/r1/a01, address: 10.90.0.11,
     attrs: {note: "{{ lookup('pipe', 'id') }}"}}
  - {name: dk-02, role: docker, rack: bj1/r1/a02, address: 10.90.0.12}
  - {name: lb-01, role: lb, rack: bj1/r1/a01, address: 10.90.0.21}
"""


@dataclass(frozen=True)
class Controller:
    """A directory to run Ansible in, and the CMDB that its playbooks use."""

    directory: Path
    url: str

    def play(self, plays: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
        """Run plays with ``ansible-playbook``."""
        (self.directory / "play.yml").write_text(
            yaml.safe_dump(plays, allow_unicode=True, sort_keys=False), "utf-8"
        )
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        environment = keep | {
            "HOME": str(self.directory),
            "DRCLOUD_CMDB_URL": self.url,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONUTF8": "1",
        }
        return subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "play.yml", *options],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def results(self, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Run tasks on localhost and return what they registered, by name."""
        names = [task["register"] for task in tasks]
        kept = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
        target = self.directory / "results.json"
        keep = {"ansible.builtin.copy": {"content": kept, "dest": str(target), "mode": "0600"}}
        play = {
            "hosts": "localhost",
            "connection": "local",
            "vars": {"ansible_python_interpreter": sys.executable},
            "gather_facts": False,
            "module_defaults": {"group/dianrong.cloud.cmdb": {"reason": "test", "ticket": "CHG-7"}},
            "tasks": [*tasks, keep],
        }
        done = self.play([play], "-i", "localhost,")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(target.read_text("utf-8"))
        return found


@pytest.fixture
def controller(cmdb_url: str, tmp_path: Path) -> Controller:
    path = tmp_path / "idc.yml"
    path.write_text(IDC, "utf-8")
    importer.import_files(Store.open(cmdb_url), importer.Request((path,)))
    return Controller(tmp_path, cmdb_url)
