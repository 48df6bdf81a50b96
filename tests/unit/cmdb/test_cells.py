"""Cells of a table: what is written comes back, and nothing becomes a formula."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drcloud.cmdb import cells
from drcloud.cmdb.cells import Form

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
VALUES = {
    Form.TEXT: st.text() | st.none(),
    Form.NUMBER: st.integers() | st.none(),
    Form.TRUTH: st.booleans() | st.none(),
    Form.WORDS: st.lists(st.text()) | st.none(),
    Form.JSON: JSON,
    Form.FREE: JSON,
}


@pytest.mark.parametrize("form", list(Form))
@given(data=st.data())
def test_what_is_written_comes_back(form: Form, data: st.DataObject) -> None:
    value = data.draw(VALUES[form])
    cell = cells.spell(form, value)
    assert cell == cell.strip() != ""
    assert cells.parse(form, cell) == value
    assert not (isinstance(value, str) and cell.startswith(cells.FORMULA))


@pytest.mark.parametrize(
    ("form", "cell", "value"),
    [
        (Form.TEXT, "上海外高桥", "上海外高桥"),
        (Form.TEXT, "8080", "8080"),
        (Form.TEXT, '""', ""),
        (Form.TEXT, "null", None),
        (Form.TEXT, '"null"', "null"),
        (Form.TEXT, 'say "yes"', 'say "yes"'),
        (Form.NUMBER, "8080", 8080),
        (Form.NUMBER, "1.5", 1.5),
        (Form.NUMBER, "many", "many"),
        (Form.TRUTH, "TRUE", True),
        (Form.TRUTH, "yes", "yes"),
        (Form.WORDS, "dk-01; dk-02 ;", ["dk-01", "dk-02"]),
        (Form.WORDS, '["a;b"]', ["a;b"]),
        (Form.FREE, "4711", 4711),
        (Form.FREE, "007", "007"),
        (Form.FREE, "1e5", "1e5"),
        (Form.FREE, "12.50", "12.50"),
        (Form.FREE, "NaN", "NaN"),
        (Form.FREE, "true", True),
        (Form.FREE, '"true"', "true"),
        (Form.FREE, '{"a": 1}', {"a": 1}),
        (Form.FREE, "[draft] 王磊", "[draft] 王磊"),
    ],
)
def test_what_people_type(form: Form, cell: str, value: Any) -> None:
    assert cells.parse(form, cell) == value


def test_a_formula_is_written_as_text() -> None:
    assert cells.spell(Form.FREE, "=1+1") == '"=1+1"'


@pytest.mark.parametrize("cell", ["{", "[1,]", "NaN"])
def test_what_is_not_json(cell: str) -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        cells.parse(Form.JSON, cell)
