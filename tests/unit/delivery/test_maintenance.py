"""Maintenance: what load balancers say of it, and what the CMDB declares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drcloud.cmdb import importer, inventory, objects, past, snapshot, state
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted
from drcloud.delivery.maintenance import FIELD, Page, parse, wanted


@pytest.mark.parametrize(
    ("answer", "page", "words"),
    [
        ("", Page(False, False), "app"),
        ("serves demo_prod\nkeeps demo_prod\n", Page(True, True), "page"),
        ("serves demo_prod_2\nkeeps x_demo_prod\n", Page(False, False), "app"),
        ("serves demo_prod\nkeeps shop_prod", Page(True, False), "page until it restarts"),
        ("serves shop_prod\nkeeps demo_prod", Page(False, True), "page when it restarts"),
    ],
)
def test_what_a_load_balancer_does(answer: str, page: Page, words: str) -> None:
    assert parse("demo_prod", answer) == page
    assert str(page) == words


@pytest.mark.parametrize("answer", ["Unknown map identifier.", "serves", "keeps ", "Serves demo_prod"])
def test_what_is_no_answer_is_told(answer: str) -> None:
    with pytest.raises(ValueError, match="it says of its pools in maintenance"):
        parse("demo_prod", answer)


def test_what_is_wanted_is_both_halves() -> None:
    assert (wanted(True), wanted(False)) == (Page(True, True), Page(False, False))


def test_the_declaration_reaches_the_load_balancers_and_outlives_an_import(store: Store, tmp_path) -> None:
    def declare(value: bool | None) -> int:
        done = objects.change(store, [Wanted("placement", {FIELD: value}, "demo@prod")], reason="test")
        return len(done.changes)

    def pools() -> dict[str, bool]:
        found = inventory.build(snapshot.read(store)).hosts
        return {lb: found[lb]["dr_lb_pools"][0]["maintenance"] for lb in ("lb-01", "lb-02")}

    assert pools() == {"lb-01": False, "lb-02": False}
    assert declare(None) == 0
    assert (declare(True), declare(True)) == (1, 0)
    assert pools() == {"lb-01": True, "lb-02": True}
    assert importer.import_files(store, importer.Request((tmp_path / "idc.yml",))) == ()
    assert pools() == {"lb-01": True, "lb-02": True}
    with store.read() as session:
        documents = state.read(session)
    then = past.snapshot(documents, store.declared_seq()).placements
    assert [replace(row, ports={}) for row in then] == [
        replace(row, ports={}) for row in snapshot.read(store).placements
    ]
    assert (declare(None), declare(None)) == (1, 0)
    assert pools() == {"lb-01": False, "lb-02": False}
