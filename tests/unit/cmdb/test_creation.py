"""New rows past the ORM: the same columns, the same log, and few statements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, inspect, select

from drcloud.cmdb import creation, importer, sample
from drcloud.cmdb.base import Declared
from drcloud.cmdb.declared import App
from drcloud.cmdb.natural import Naming, kinds
from drcloud.cmdb.operational import ChangeLog
from drcloud.cmdb.store import Store
from drcloud.errors import InvalidInputError

WHOLE = Path(__file__).parent / "data/whole.yml"


@pytest.fixture
def whole(store: Store) -> Store:
    importer.import_files(store, importer.Request((WHOLE,)))
    return store


def test_the_columns_are_those_of_the_orm(whole: Store) -> None:
    """Also what the tables keep in step themselves: the number of an address, the bounds of a prefix."""
    with whole.read() as session:
        for kind in kinds().values():
            columns = [one.key for one in inspect(kind.model).column_attrs if one.key != "id"]
            for row in session.scalars(select(kind.model)):
                again: Any = kind.model()
                for name in columns:
                    setattr(again, name, getattr(row, name))
                for name in columns:
                    assert getattr(again, name) == getattr(row, name), (kind.name, name)


def test_the_log_tells_what_is_there(whole: Store) -> None:
    with whole.read() as session:
        naming = Naming(session)
        logged = {(one.kind, one.key): one for one in session.scalars(select(ChangeLog))}
        for kind in kinds().values():
            for row in session.scalars(select(kind.model)):
                entry = logged.pop((kind.name, naming.key(row)))
                assert (entry.action, entry.before, entry.after) == ("create", None, naming.document(row))
                assert isinstance(row, Declared)
                assert (len(row.uid), row.version) == (36, 1)
    assert not logged


def test_the_file_has_every_kind(whole: Store) -> None:
    with whole.read() as session:
        models = [kind.model for kind in kinds().values()]
        assert all(session.scalars(select(model).limit(1)).first() is not None for model in models)


def test_a_refused_row_is_named(store: Store) -> None:
    """However many stand in the same statement; those before it are taken back too."""
    known = creation.Rows({}, lambda *_: App())
    fields = [{"name": f"h-{n}", "role": "docker", "serial": f"S{min(n, 7)}"} for n in range(10)]
    rows = [creation.prepare(kinds()["host"], one["name"], one, known) for one in fields]
    with (
        pytest.raises(InvalidInputError, match=r"refuses the write of host h-8: .* same serial"),
        store.write(reason="x") as session,
    ):
        creation.write(session, kinds()["host"], rows)
    assert store.declared_seq() == 0


def test_statements_do_not_grow_with_the_rows(tmp_path: Path) -> None:
    """Ten times the hosts take the same statements, as long as a batch holds them."""
    counts = []
    for hosts in (30, 300):
        store = Store.create(f"sqlite:///{tmp_path}/{hosts}.sqlite3")
        path = tmp_path / f"{hosts}.yml"
        path.write_text(sample.text(sample.build(hosts)), encoding="utf-8")
        asked: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any, to: list[str] = asked) -> None:
            to.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            importer.import_files(store, importer.Request((path,)))
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        counts.append(len(asked))
    assert counts[1] == counts[0]
