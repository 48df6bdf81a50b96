"""Everything an import file can hold goes into the CMDB and comes out of it again."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cmdb.generated import idc_file
from typer.testing import CliRunner

from drcloud.cli.main import app
from drcloud.cmdb import document as documents
from drcloud.cmdb import exporter, importer, plan, values
from drcloud.cmdb import state as states
from drcloud.cmdb.natural import join_key, kinds
from drcloud.cmdb.store import Store
from drcloud.cmdb.yamlfile import read

WHOLE = Path(__file__).parent / "data/whole.yml"
State = dict[str, dict[str, dict[str, Any]]]


def empty() -> State:
    return {kind: {} for kind in kinds()}


def after(document: documents.Document, state: State) -> State:
    """Return the state that an import leads to, and check that a second one would change nothing."""
    found = plan.make(document, state)
    assert found.problems == ()
    final = {kind: dict(rows) for kind, rows in state.items()}
    for change in found.changes:
        if change.action == "delete":
            del final[change.kind][change.key]
        else:
            known = final[change.kind].get(change.key) or values.defaults(kinds()[change.kind])
            final[change.kind][change.key] = {**known, **change.after}
    again = plan.make(document, final)
    assert (again.changes, again.problems) == ((), ())
    return final


def exported(state: State) -> documents.Document:
    """Return the document of a state, by way of its text."""
    text = yaml.safe_dump(exporter.build(state), allow_unicode=True, sort_keys=False)
    return documents.Document.model_validate(yaml.safe_load(text))


def test_nothing_is_missing_in_the_whole() -> None:
    """A kind or a field that nobody exports would be lost; so the file has each of them."""
    file = read(WHOLE)
    final = after(documents.parse(file), empty())
    for kind, known in kinds().items():
        assert final[kind], kind
        default = values.defaults(known)
        for name in known.fields:
            set_ones = [row for row in final[kind].values() if row[name] != default[name]]
            assert set_ones, f"{kind}.{name}"


def test_the_keys_of_documents_are_natural() -> None:
    for kind, rows in after(documents.parse(read(WHOLE)), empty()).items():
        for key, fields in rows.items():
            assert join_key(kinds()[kind], fields.get) == key


def test_whole_round_trip() -> None:
    final = after(documents.parse(read(WHOLE)), empty())
    assert after(exported(final), empty()) == final


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False))
def test_generated_round_trip(random: Random) -> None:
    final = after(documents.Document.model_validate(idc_file(random)), empty())
    copy = after(exported(final), empty())
    assert copy == final
    assert exporter.build(copy) == exporter.build(final)


def test_the_file_of_an_export_imports_elsewhere(store: Store, tmp_path: Path) -> None:
    importer.import_files(store, importer.Request((WHOLE,)))
    assert importer.import_files(store, importer.Request((WHOLE,))) == ()
    path = tmp_path / "export.yml"
    path.write_text(exporter.export(store), encoding="utf-8")
    assert importer.import_files(store, importer.Request((path,))) == ()
    other = Store.create(f"sqlite:///{tmp_path}/other.sqlite3")
    importer.import_files(other, importer.Request((path,)))
    with store.read() as one, other.read() as two:
        assert states.load(one).documents == states.load(two).documents


@pytest.mark.usefixtures("url")
def test_every_kind_can_be_shown(store: Store) -> None:
    importer.import_files(store, importer.Request((WHOLE,)))
    runner = CliRunner()
    with store.read() as session:
        state = states.load(session).documents
    for kind, rows in state.items():
        listed = runner.invoke(app, ["cmdb", "show", kind])
        assert listed.exit_code == 0, listed.output
        for key in list(rows)[:1]:
            shown = runner.invoke(app, ["cmdb", "show", kind, key, "--json"])
            assert shown.exit_code == 0, shown.output
            assert kind == "host_key" or json.loads(shown.output)["key"] == key
