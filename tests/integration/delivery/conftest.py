"""A registry with TLS and accounts, and a CMDB on either engine whose app has its images there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.conftest import new_database
from tests.integration.delivery.registries import PASSWORD, USER, RealRegistry
from tests.integration.doctor.conftest import new_authority

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store

Drcloud = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """A running registry, for the tests of one file."""
    authority = new_authority(tmp_path_factory.mktemp("tls"))
    running = RealRegistry(tmp_path_factory.mktemp("registry"), authority)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def cmdb_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty CMDB: a file, or what the test's parameter names."""
    if getattr(request, "param", "sqlite") == "postgresql":
        return new_database(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path}/cmdb.sqlite3"


@pytest.fixture
def store(cmdb_url: str, registry: RealRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A CMDB with one app whose repository is the test's own."""
    monkeypatch.setenv("DRCLOUD_CMDB_URL", cmdb_url)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    monkeypatch.delenv("DRCLOUD_TICKET", raising=False)
    site = {
        "drcloud": 1,
        "environments": [{"name": "qa"}, {"name": "prod"}],
        "registries": [
            {
                "name": "main",
                "endpoint": registry.endpoint,
                "username": USER,
                "password": "env:REGISTRY_PASSWORD",
                "ca": f"file:{registry.authority.ca}",
            }
        ],
        "prefixes": [{"cidr": "10.90.0.0/24"}],
        "hosts": [{"name": "dk-01", "role": "docker", "state": "active", "address": "10.90.0.11"}],
        "apps": [{"name": "shop", "spec": {"image": repository_of(tmp_path), "port": 8080}}],
        "placements": [{"app": "shop", "env": "qa", "hosts": ["dk-01"]}],
    }
    (tmp_path / "site.yml").write_text(json.dumps(site), encoding="utf-8")
    opened = Store.create(cmdb_url)
    importer.import_files(opened, importer.Request((tmp_path / "site.yml",)))
    return opened


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """The app's repository."""
    return repository_of(tmp_path)


def repository_of(directory: Path) -> str:
    """Return a repository of its own for each test."""
    return "drc-test/" + "".join(letter for letter in directory.name.lower() if letter.isalnum())


@pytest.fixture
def drcloud(store: Store, tmp_path: Path) -> Drcloud:
    """Run the command in a process of its own."""

    def run(*words: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        program = ["-c", code] if code else ["-m", "drcloud"]
        return subprocess.run(
            [sys.executable, *program, *words],
            cwd=tmp_path,
            env={**os.environ, "DRCLOUD_ACTOR": "anna", **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
