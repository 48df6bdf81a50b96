"""``drcloud cmdb backup``, ``restore`` and ``upgrade``: what a user sees, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb import archive, schema
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a CMDB of the first released schema."""
    path = tmp_path / "old" / "cmdb.sqlite3"
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{path}")
    with Store.at(missing_ok=True).migrating() as connection:
        schema.migrate(connection, "0001")
    return path


def test_backup_and_restore(
    drcloud: Command, filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cmdb.jsonl.gz"
    code, out, err = drcloud("cmdb", "backup", str(path))
    assert (code, err) == (0, "")
    assert out.startswith(f"backed up into {path}: ")
    assert f"schema {schema.revisions()[-1]}, up to change {filled.declared_seq()}\n" in out
    assert drcloud("cmdb", "backup", str(path))[::2] == (
        2,
        f"drcloud: {path} is already there: name another file for the backup\n",
    )
    monkeypatch.setenv("DRCLOUD_CMDB_URL", f"sqlite:///{tmp_path}/new/cmdb.sqlite3")
    shown = json.loads(drcloud("cmdb", "restore", str(path), "--json")[1])
    assert (shown["rows"]["host"], shown["engine"], shown["file"]) == (5, "sqlite", str(path))
    code, _, err = drcloud("cmdb", "restore", str(path))
    assert code == 2
    assert "is not empty: restore into an empty one, or say --replace to lose what is there" in err
    assert drcloud("cmdb", "restore", str(path), "--replace")[0] == 2
    assert drcloud("cmdb", "restore", str(path), "--replace", "--yes")[0] == 0
    assert drcloud("cmdb", "show", "host", "dk-01")[0] == 0


def test_a_backup_has_a_name_of_its_own(
    drcloud: Command, filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = json.loads(drcloud("cmdb", "backup", "--json")[1])
    assert Path(shown["file"]).is_file()
    assert shown["file"].startswith("cmdb-20")
    assert shown["declared_seq"] == filled.declared_seq()


def test_a_file_that_is_none(drcloud: Command, tmp_path: Path) -> None:
    assert drcloud("cmdb", "restore", str(tmp_path / "none"))[0] == 2
    (tmp_path / "text").write_text("hello")
    code, _, err = drcloud("cmdb", "restore", str(tmp_path / "text"), "--replace", "--yes")
    assert (code, err.count("\n")) == (2, 1)
    assert "is no backup of a CMDB, or damaged" in err


def test_an_upgrade_backs_up_what_was(drcloud: Command, old: Path) -> None:
    assert drcloud("cmdb", "show")[0] == 20
    code, out, _ = drcloud("cmdb", "upgrade")
    assert code == 0
    assert out.splitlines()[1] == f"CMDB {old}: schema {schema.revisions()[-1]}, upgraded from 0001"
    [kept] = old.parent.glob("cmdb-0001-*.jsonl.gz")
    assert out.splitlines()[0] == f"backed up into {kept}, as it was with schema 0001"
    with archive.opened(kept) as file:
        assert archive.Reader(file, kept).header.schema == "0001"
    assert drcloud("cmdb", "upgrade") == (
        0,
        f"CMDB {old}: schema {schema.revisions()[-1]}, is up to date\n",
        "",
    )
    assert len(list(old.parent.glob("cmdb-0001-*"))) == 1


def test_an_upgrade_without_a_backup_or_with_it_elsewhere(
    drcloud: Command, old: Path, tmp_path: Path
) -> None:
    code, _, err = drcloud("cmdb", "upgrade", "--backup", str(tmp_path / "none" / "b"))
    assert code == 20
    assert "cannot be written" in err
    assert Store.at().revision() == "0001"
    assert drcloud("cmdb", "upgrade", "--no-backup")[0] == 0
    assert not list(old.parent.glob("*.gz"))


def test_init_of_an_older_cmdb_is_an_upgrade(drcloud: Command, old: Path) -> None:
    assert drcloud("init")[1].splitlines()[-1] == f"CMDB ready: {old}"
    assert len(list(old.parent.glob("cmdb-0001-*.jsonl.gz"))) == 1
    assert Store.open().declared_seq() == 0


def test_an_older_program_refuses_a_newer_schema(
    drcloud: Command, filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b"
    drcloud("cmdb", "backup", str(path))
    monkeypatch.setattr(schema, "revisions", lambda: ("0001",))
    for words in (("show",), ("upgrade",), ("backup", "x"), ("restore", str(path), "--replace", "--yes")):
        code, _, err = drcloud("cmdb", *words)
        assert (code, err.count("\n")) == (20, 1), words
        assert "it was written by a newer drcloud; install that version here" in err
