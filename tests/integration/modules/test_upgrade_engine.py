"""The playbook upgrade_engine with parts that do as they are told: who is brought back, and who is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLAYBOOK = Path(__file__).parents[3] / "collections/dianrong/cloud/playbooks/upgrade_engine.yml"
PARTS = ("lease", "host_batches", "host_service", "docker_engine_info", "cmdb_instances", "cmdb_host", "role")
LEFT = json.dumps({"dr_attrs": {"drained_by": {"owner": "upgrade_engine"}}})
# Each call is written down. At a call, by its name and number, a host fails or is lost as it was told.
PART = """
import json, pathlib
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        place, host = pathlib.Path(task_vars["playbook_dir"]), task_vars["inventory_hostname"]
        part = " ".join([self._task.action.removeprefix("fake_"), self._task.args.get("state", "")]).strip()
        with (place / host).open("a+") as log:
            log.write(part + "\\n")
            log.seek(0)
            number = log.read().splitlines().count(part)
        told = json.loads((place / "told.json").read_text()).get(host, {})
        does = told.get(f"{part} {number}")
        if does == "lost":
            raise AnsibleConnectionFailure("no route to host")
        return {
            "failed": does == "fail",
            "msg": f"{part} failed",
            "changed": False,
            "batches": [2],
            "engine": {"package": told.get("package", "1")},
        }
"""
ROLE = "- {fake_role: {state: '{{ docker_engine_version }}'}}\n"


@pytest.fixture
def upgrade(tmp_path: Path) -> Callable[..., tuple[int, str, dict[str, list[str]]]]:
    """Upgrade two hosts at a time; return the code, what was said, and what was done to each host."""
    text = re.sub(
        r"dianrong\.cloud\.docker_engine$", "docker_engine", PLAYBOOK.read_text(), flags=re.MULTILINE
    )
    text = re.sub(r"dianrong\.cloud\.(\w+):", r"fake_\1:", text)
    (tmp_path / "up.yml").write_text(text.replace("timeout: 30", "timeout: 3"))
    tasks = tmp_path / "roles/docker_engine/tasks"
    for directory in (tasks, tmp_path / "action_plugins"):
        directory.mkdir(parents=True)
    (tasks / "main.yml").write_text(ROLE)
    for part in PARTS:
        (tmp_path / f"action_plugins/fake_{part}.py").write_text(PART)
    connection = f"ansible_connection=local\nansible_python_interpreter={sys.executable}"
    (tmp_path / "hosts").write_text(f"[role_docker]\na\nb\n[role_docker:vars]\n{connection}\n")
    (tmp_path / "ansible.cfg").write_text("")

    def run(*arguments: str, **told: Any) -> tuple[int, str, dict[str, list[str]]]:
        (tmp_path / "told.json").write_text(json.dumps(told))
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts", "up.yml"]
        done = subprocess.run(
            [*command, "-e", "engine_version=2", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "NO_COLOR": "1"},
        )
        logs = {host: tmp_path / host for host in ("a", "b")}
        return (
            done.returncode,
            done.stdout + done.stderr,
            {host: log.read_text().splitlines() for host, log in logs.items() if log.exists()},
        )

    return run


Upgrade = Callable[..., tuple[int, str, dict[str, list[str]]]]
OUT, IN, GONE = "host_service out", "host_service in", "cmdb_host quarantined"
GOOD = ["docker_engine_info", "lease", OUT, "role 2", "docker_engine_info", "cmdb_instances", IN]


def test_hosts_are_taken_out_upgraded_and_brought_back(upgrade: Upgrade) -> None:
    code, said, done = upgrade()
    assert (code, done) == (0, {"a": ["host_batches", *GOOD], "b": GOOD}), said


def test_who_has_the_version_is_left_alone_but_one_that_was_left_drained(upgrade: Upgrade) -> None:
    code, said, done = upgrade("--limit", "b", b={"package": "2"})
    assert (code, done) == (0, {"b": ["host_batches", "docker_engine_info"]}), said
    dead = {"package": "2", "docker_engine_info 2": "fail"}
    code, said, done = upgrade("--limit", "b", "-e", LEFT, b=dead)
    assert (code, done["b"][4:]) == (0, GOOD[1:]), said


def test_a_host_that_is_lost_is_quarantined_and_the_other_one_comes_back(upgrade: Upgrade) -> None:
    code, said, done = upgrade(
        b={
            "role 2 1": "lost",
            "docker_engine_info 2": "lost",
            "role 1 1": "lost",
            "docker_engine_info 3": "lost",
        }
    )
    assert code != 0
    assert "it does not answer any more: no route to host; it is out of service and quarantined" in said
    assert (done["a"][-1], done["b"][-1]) == (IN, GONE), said
    assert IN not in done["b"]


def test_a_version_that_does_not_work_is_taken_back(upgrade: Upgrade) -> None:
    code, said, done = upgrade(b={"docker_engine_info 2": "fail"})
    assert code != 0
    assert "1 is back, and 2 is not: docker_engine_info failed" in said
    assert done["b"][-4:] == ["role 1", "docker_engine_info", "cmdb_instances", IN], said


@pytest.mark.parametrize(
    ("told", "words", "last"),
    [
        ({f"{OUT} 1": "fail"}, f"{OUT} failed", [OUT, IN]),
        (
            {f"{OUT} 1": "fail", f"{IN} 1": "fail"},
            f"it did not come back into service: {IN} failed",
            [OUT, IN],
        ),
        ({f"{IN} 1": "fail"}, "the same upgrade again tries once more", ["cmdb_instances", IN]),
        ({"lease 1": "fail"}, "lease failed", ["docker_engine_info", "lease"]),
        ({"cmdb_instances 1": "lost"}, "it does not answer any more: no route", ["cmdb_instances", GONE]),
    ],
)
def test_a_host_that_stays_out_fails_the_play_in_one_sentence(
    upgrade: Upgrade, told: dict[str, str], words: str, last: list[str]
) -> None:
    code, said, done = upgrade(b=told)
    assert code != 0
    assert words in said
    assert (done["a"][-1], done["b"][-2:]) == (IN, last), said
