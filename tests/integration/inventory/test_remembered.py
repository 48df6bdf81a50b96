"""The kept inventory: a hit reads no hosts, is always right, and troubles are told apart; on both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from sqlalchemy import Engine, event

from drcloud.cmdb import assembly, importer, lookup, observations
from drcloud.cmdb.assembly import Found, Wanted
from drcloud.cmdb.cache import Cache
from drcloud.cmdb.options import parse
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, CmdbUnreachableError


@contextmanager
def tables_read() -> Iterator[list[str]]:
    """Collect the queries that are made meanwhile."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


DOCUMENT: dict[str, Any] = {
    "drcloud": 1,
    "prefixes": [{"cidr": "10.64.0.0/24"}],
    "registries": [{"name": "main", "endpoint": "registry.example:5000"}],
    "environments": [{"name": "prod"}],
    "hosts": [{"name": f"dk-{n}", "role": "docker", "address": f"10.64.0.{n}"} for n in (1, 2, 3)],
    "apps": [{"name": "portal", "spec": {"image": "x/portal", "port": 8080}}],
    "placements": [{"app": "portal", "env": "prod", "hosts": ["dk-1", "dk-2"]}],
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A CMDB with three hosts and an app on two of them, on each engine; each test has its own cache."""
    directory = tmp_path_factory.mktemp("remembered")
    url = f"sqlite:///{directory}/cmdb.sqlite3"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE remembered")
        url = f"{server}/remembered"
    store = Store.create(url)
    load(store, directory)
    return store


def load(store: Store, directory: Path) -> None:
    """Import the document."""
    path = directory / "fleet.yml"
    path.write_text(yaml.safe_dump(DOCUMENT), encoding="utf-8")
    importer.import_files(store, importer.Request((path,)))


@pytest.fixture
def kept(store: Store, tmp_path: Path) -> Callable[..., Found]:
    """Ask for the inventory with a cache; another source for other options."""

    def ask(stale: bool = False, refresh: bool = False, url: str | None = None, **options: Any) -> Found:
        cache = Cache(tmp_path / "kept", "site.cmdb.yml", {"url": store.url, "options": options})
        wanted = Wanted(parse(options), ssh_directory=tmp_path / "ssh")
        return assembly.remembered(url or store.url, wanted, cache, refresh=refresh, stale=stale)

    return ask


def test_a_hit_reads_no_hosts_and_any_write_is_a_miss(store: Store, kept: Callable[..., Found]) -> None:
    first = kept()
    with tables_read() as queries:
        assert kept().inventory.hosts == first.inventory.hosts
    read = [query for query in queries if query.lstrip().startswith(("SELECT", "WITH"))]
    assert not [query for query in read if "host" in query or "placement" in query]
    assert len(read) <= 4  # the schema's revision, the counter, the time of the last change
    with store.write(reason="a name nobody shows") as session:
        lookup.host(session, "dk-2").attrs = {"new": 1}
    assert kept().inventory.hosts["dk-2"]["dr_attrs"] == {"new": 1}
    assert kept(role=["docker"], fields=["state"]).inventory.hosts["dk-2"].keys() == {
        *("ansible_host", "ansible_port", "ansible_user", "ansible_ssh_common_args", "dr_state")
    }
    with tables_read() as queries:
        kept(role=["docker"], fields=["state"], refresh=True)
    assert [query for query in queries if "FROM host" in query]


def test_two_histories_of_equal_length_are_told_apart(tmp_path: Path) -> None:
    stores = [Store.create(f"sqlite:///{tmp_path}/{name}.sqlite3") for name in ("one", "two")]
    for store in stores:
        load(store, tmp_path)
    assert stores[0].declared_seq() == stores[1].declared_seq()
    with stores[0].read() as one, stores[1].read() as two:
        assert assembly.token(one, parse({})) != assembly.token(two, parse({}))


def test_drift_is_as_new_as_the_last_look(store: Store, kept: Callable[..., Found]) -> None:
    assert "drift" not in kept(drift=True).inventory.groups.children
    running = {
        **dict.fromkeys(("digest", "tag", "deployment"), "x"),
        **{"name": "portal_prod_a_1", "app": "portal", "env": "prod", "slot": "a", "revision": "r1"},
        **{"status": "running", "health": "healthy", "started_at": None},
    }
    observations.record_instances(store, "dk-3", [running], "test")
    groups = kept(drift=True).inventory.groups
    assert groups.members["drift_unplaced"] == ["dk-3"]
    observations.record_instances(store, "dk-3", [], "test")
    assert "drift_unplaced" not in kept(drift=True).inventory.groups.members


def test_a_damaged_file_is_replaced_with_a_warning(kept: Callable[..., Found], tmp_path: Path) -> None:
    hosts = kept().inventory.hosts
    [file] = (tmp_path / "kept").iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    found = kept()
    assert found.inventory.hosts == hosts
    assert "is damaged; it is not used and written anew" in found.warnings[0]
    assert kept().warnings == ()


def test_only_a_cmdb_that_does_not_answer_lets_a_stale_inventory_through(
    store: Store, kept: Callable[..., Found], tmp_path: Path
) -> None:
    away = "postgresql://drcloud@127.0.0.1:1/x" if "postgresql" in store.url else "sqlite:////nowhere/x"
    with pytest.raises(CmdbError, match="no inventory of this source is remembered"):
        kept(url=away, stale=True)
    fresh = kept()
    with pytest.raises(CmdbUnreachableError):
        kept(url=away)
    found = kept(url=away, stale=True)
    assert (found.inventory.hosts, found.files) == (fresh.inventory.hosts, fresh.files)
    assert found.warnings[0].startswith("STALE INVENTORY: ")
    letter = tmp_path / "letter"
    letter.write_text("this is a letter, not a database\n" * 100)
    with pytest.raises(CmdbError, match="is not an SQLite database"):
        kept(url=f"sqlite:///{letter}", stale=True)
