"""Opening a CMDB: schema, files that are none, errors in an operator's words."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint, inspect

from drcloud.cmdb import schema
from drcloud.cmdb.base import Base
from drcloud.cmdb.declared import Idc
from drcloud.cmdb.store import Store
from drcloud.errors import CmdbError, InvalidInputError
from drcloud.exitcodes import ExitCode


def execute(url: str, statement: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute(statement)
    connection.close()


def test_create_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/er/cmdb.sqlite3"
    store = Store.create(url)
    with store.write(reason="x") as session:
        session.add(Idc(code="a"))
    assert Store.create(url).declared_seq() == 1
    head = schema.revisions()[-1]
    assert store.upgrade() == (head, head)


def test_an_open_cmdb_has_its_guards(store: Store) -> None:
    with store.operate() as session:
        assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 30000


def test_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRCLOUD_CMDB_URL", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Store.create().label == f"{tmp_path}/drcloud/cmdb.sqlite3"


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(CmdbError, match=r"there is no CMDB in .* yet: run `drcloud init`") as caught:
        Store.open(f"sqlite:///{tmp_path}/none.sqlite3")
    assert caught.value.exit_code is ExitCode.CMDB
    assert list(tmp_path.iterdir()) == []


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(CmdbError, match=r"there is no CMDB in .* yet: run `drcloud init`"):
        Store.open(f"sqlite:///{tmp_path}/empty")


def test_newer_schema(url: str) -> None:
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    for refused in (Store.open, Store.create):
        with pytest.raises(
            CmdbError, match=r"has schema 9999, drcloud \S+ knows up to 0\d+: it was written by"
        ):
            refused(url)


def test_older_schema(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = schema.revisions()
    monkeypatch.setattr(schema, "revisions", lambda: (*known, "9999"))
    with pytest.raises(
        CmdbError, match=rf"has schema {known[-1]}, .* needs 9999: run `drcloud cmdb upgrade`"
    ):
        Store.open(url)


@pytest.mark.parametrize("call", [Store.open, Store.create])
def test_not_a_database(tmp_path: Path, call: type[Store]) -> None:
    (tmp_path / "text").write_text("hello world, this is no database" * 100)
    with pytest.raises(CmdbError, match="is not an SQLite database") as caught:
        call(f"sqlite:///{tmp_path}/text")
    assert "\n" not in str(caught.value)


def test_corrupt(filled: Store) -> None:
    path = Path(filled.url.removeprefix("sqlite:///"))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(CmdbError, match="is corrupt; restore it from a backup"):
        Store.open(filled.url).declared_seq()


def test_locked(store: Store) -> None:
    impatient = Store.open(f"{store.url}?timeout=0.1")
    with (
        store.write(reason="long"),
        pytest.raises(CmdbError, match="is locked by another process"),
        impatient.write(reason="short"),
    ):
        pass


def test_readers_go_on_while_one_writes(store: Store) -> None:
    with store.write(reason="long") as session:
        session.add(Idc(code="a"))
        session.flush()
        assert Store.open(store.url).declared_seq() == 0
    assert store.declared_seq() == 1


def test_a_read_sees_one_state(store: Store) -> None:
    with store.read() as session:
        before = session.query(Idc).count()
        with store.write(reason="meanwhile") as other:
            other.add(Idc(code="a"))
        assert session.query(Idc).count() == before == 0


def test_disk_full(store: Store) -> None:
    """SQLite reports a page limit as it reports a full disk."""
    with (
        pytest.raises(CmdbError, match="the disk is full; nothing was written"),
        store.write(reason="x") as session,
    ):
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1")
        session.add_all(Idc(code=str(number), name="x" * 255) for number in range(5000))
    assert store.declared_seq() == 0


def test_a_directory_where_the_file_should_be(tmp_path: Path) -> None:
    with pytest.raises(CmdbError, match="cannot be opened"):
        Store.open(f"sqlite:///{tmp_path}")
    with pytest.raises(CmdbError, match="cannot be opened"):
        Store.create(f"sqlite:///{tmp_path}")


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CmdbError, match=r"cannot make the directory .*: (Not a directory|File exists)"):
        Store.create(f"sqlite:///{tmp_path}/file/cmdb.sqlite3")


def test_lost_table(url: str) -> None:
    execute(url, "DROP TABLE sequence")
    with pytest.raises(CmdbError, match="lacks a table"):
        Store.open(url).declared_seq()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_unusable_url(url: str) -> None:
    with pytest.raises(InvalidInputError, match="is not usable: write sqlite:///PATH or postgresql://"):
        Store.open(url)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(CmdbError, match="cannot be reached") as caught:
        Store.open("postgresql://drcloud:geheim@127.0.0.1:1/cmdb")
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_carried_over_a_fork(filled: Store) -> None:
    seq = filled.declared_seq()
    child = os.fork()
    if child == 0:
        os._exit(0 if filled.declared_seq() == seq else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_used_by_threads(store: Store) -> None:
    def add(number: int) -> None:
        with store.write(reason="thread") as session:
            session.add(Idc(code=str(number)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.declared_seq() == 8


def test_migrations_make_the_schema_of_the_models(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.operate() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_make_the_checks_of_the_models(store: Store) -> None:
    """Alembic does not compare CHECK constraints."""
    with store.read() as session:
        found = inspect(session.connection())
        for table in Base.metadata.sorted_tables:
            wanted = {
                str(one.name): str(one.sqltext)
                for one in table.constraints
                if isinstance(one, CheckConstraint)
            }
            made = {str(one["name"]): one["sqltext"] for one in found.get_check_constraints(table.name)}
            assert made == wanted, table.name


def test_revisions_are_those_of_alembic() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [one.revision for one in script.walk_revisions()][::-1] == list(schema.revisions())
