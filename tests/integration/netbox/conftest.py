"""A NetBox for every test: the stand-in, and with the marker ``netbox`` the real one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.netbox import real, standin
from tests.integration.netbox.box import Box, Company
from tests.integration.netbox.standin import Standin

from drcloud.cmdb import state as states
from drcloud.cmdb.netbox import sync
from drcloud.cmdb.netbox.mapping import Choice
from drcloud.cmdb.netbox.sync import Request, Result
from drcloud.cmdb.state import State
from drcloud.cmdb.store import Store


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Test the engines with the stand-in only: what a real NetBox answers does not depend on the CMDB."""
    items[:] = [item for item in items if not item.name.endswith("[postgresql-real]")]


@pytest.fixture(scope="session")
def real_netbox(postgresql: str) -> Iterator[Box]:
    with real.running(postgresql) as url:
        yield Box(url, real.TOKEN)


@pytest.fixture
def server() -> Iterator[Standin]:
    with standin.serving() as serving:
        yield serving


@pytest.fixture(params=["standin", pytest.param("real", marks=pytest.mark.netbox)])
def box(request: pytest.FixtureRequest) -> Box:
    """Give a NetBox without objects."""
    if request.param == "standin":
        return Box(request.getfixturevalue("server").url, standin.TOKEN)
    real_box: Box = request.getfixturevalue("real_netbox")
    real_box.clear()
    return real_box


@pytest.fixture
def company(box: Box) -> Company:
    return Company(box).found()


@pytest.fixture
def small(server: Standin) -> Company:
    """Give the company in the stand-in only, for what a real NetBox cannot be made to do."""
    return Company(Box(server.url, standin.TOKEN)).found()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is read in the test's directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def empty_cmdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an empty CMDB to be copied: its migrations cost more than most of these tests."""
    file = tmp_path_factory.mktemp("cmdb") / "empty.sqlite3"
    Store.create(f"sqlite:///{file}")
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


@pytest.fixture
def store(empty_cmdb: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """Give an empty CMDB in SQLite; on both engines where the test asks for ``cmdb_url``."""
    if "cmdb_url" in request.fixturenames:
        return Store.open(request.getfixturevalue("cmdb_url"))
    file = shutil.copy(empty_cmdb, tmp_path / "cmdb.sqlite3")
    return Store.open(f"sqlite:///{file}")


@pytest.fixture
def pull(store: Store) -> Callable[..., Result]:
    def pulled(box: Box, sites: tuple[str, ...] = (), roles: tuple[str, ...] = (), **how: Any) -> Result:
        request = Request(box.access, Choice(sites, roles), **how)
        return sync.pull(store, request, pause=lambda _seconds: None)

    return pulled


@pytest.fixture
def state(store: Store) -> Callable[[], State]:
    def read() -> State:
        with store.read() as session:
            return states.load(session).documents

    return read
