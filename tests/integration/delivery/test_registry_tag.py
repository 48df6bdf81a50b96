"""The action registry_tag in a real playbook: check mode, diff, twice, and an error with its code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from drcloud.cmdb.store import Store
from drcloud.delivery import releases

from .registries import RealRegistry

REPOSITORY = Path(__file__).parents[3]
PLAY = """
- hosts: localhost
  gather_facts: false
  vars: {from: rt67}
  tasks:
    - dianrong.cloud.registry_tag: {app: shop, source: "{{ from }}", tag: prod, reason: signed off}
      register: promoted
    - ansible.builtin.copy: {content: "{{ promoted | to_json }}", dest: ./result.json, mode: "0600"}
      check_mode: false
      diff: false
"""


def play(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "play.yml").write_text(PLAY, encoding="utf-8")
    environment = {
        **os.environ,
        "HOME": str(directory),
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUTF8": "1",
    }
    return subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook", "play.yml", "-i", "localhost,",
            "-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}", *options,
        ],
        cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_task_promotes_as_the_command_does(
    store: Store, registry: RealRegistry, repository: str, tmp_path: Path
) -> None:
    old = registry.image(repository, "old", "prod")
    new = registry.image(repository, "new", "rt67")
    foretold = play(tmp_path, "--check", "--diff")
    assert foretold.returncode == 0, foretold.stdout
    assert f'-  "registry": "{old}"' in foretold.stdout
    assert f'+  "registry": "{new}"' in foretold.stdout
    assert registry.serves(repository, "prod") == old

    done = play(tmp_path)
    assert done.returncode == 0, done.stdout
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert (result["changed"], result["before"], result["digest"]) == (True, old, new)
    assert registry.serves(repository, "prod") == new
    assert releases.shown(store, "shop", "prod").digest == new

    assert play(tmp_path).returncode == 0
    assert json.loads((tmp_path / "result.json").read_text("utf-8"))["changed"] is False

    refused = play(tmp_path, "-e", "from=rt66")
    assert refused.returncode != 0
    assert '"dr_exit_code": 2' in refused.stdout
    assert "app shop has no tag rt66 in registry main" in refused.stdout
