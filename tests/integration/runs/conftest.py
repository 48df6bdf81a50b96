"""A CMDB, an inventory on this machine, and playbooks that end in every way there is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from drcloud.cmdb.operational import Run, RunEvent
from drcloud.cmdb.store import Store

DEADLINE = 180.0
HOSTS = {
    "all": {
        "vars": {"ansible_python_interpreter": sys.executable},
        "hosts": {
            "one": {"ansible_connection": "local"},
            "two": {"ansible_connection": "local"},
            # Nothing listens there.
            "dark": {"ansible_host": "127.0.0.1", "ansible_port": 1},
        },
    }
}


@dataclass
class Site:
    """A directory with a CMDB, an inventory and playbooks."""

    path: Path
    store: Store

    @property
    def hosts(self) -> str:
        return str(self.path / "hosts.yml")

    def playbook(self, file_name: str, *tasks: dict[str, Any], **play: Any) -> str:
        content = [{"hosts": "all", "gather_facts": False, "tasks": list(tasks), **play}]
        file = self.path / file_name
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return str(file)

    def environment(self, **more: str) -> dict[str, str]:
        names = ("PATH", "HOME", "LANG", "PYTHONPATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return kept | {"DRCLOUD_CMDB_URL": self.store.url, "TMPDIR": str(self.path / "tmp")} | more

    def command(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start `drcloud` without a terminal, as Jenkins does."""
        environment = self.environment(**options.pop("variables", {}))
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "drcloud", *words],
            cwd=self.path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def call(self, *words: str, **options: Any) -> tuple[int, str, str]:
        process = self.command(*words, **options)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, out, err

    def runs(self) -> list[Run]:
        with self.store.read() as session:
            return list(session.scalars(select(Run).order_by(Run.id)))

    def events(self) -> list[RunEvent]:
        with self.store.read() as session:
            return list(session.scalars(select(RunEvent).order_by(RunEvent.counter)))


def eventually(what: Callable[[], Any], seconds: float = DEADLINE) -> Any:
    """Return the first true answer; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def processes_with(mark: str) -> list[int]:
    """Return the processes, not zombies, that have the mark on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(HOSTS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_INVENTORY", "DRCLOUD_INVENTORY"):
        monkeypatch.delenv(name, raising=False)
    return Site(tmp_path, Store.create(f"sqlite:///{tmp_path}/cmdb.sqlite3"))
