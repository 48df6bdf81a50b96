"""Values from YAML's events: as PyYAML's own, but strict, with lines, and without a tree of nodes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drcloud.cmdb import yamlfile
from drcloud.cmdb.yamlvalue import Builder
from drcloud.errors import InvalidInputError

WORDS = st.text("ab1.-:#~'\"é字 \n", max_size=6)
LEAVES = st.one_of(
    WORDS, st.integers(), st.booleans(), st.none(), st.sampled_from(["yes", "0x1f", "2026-01-31"])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=4))
)


def build(text: str) -> Any:
    return Builder("f.yml", yamlfile.Loader(text)).document()


@given(VALUES, st.booleans())
def test_what_was_dumped_comes_back(value: Any, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert build(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {k: 1, l: 2}\nb: {<<: *x, l: 3, m: 4}\n",
        "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {own: 0, <<: [*x, *y]}\n",
        "a: &x [1, 2]\nb: *x\nc: &s word\nd: [*s, *s]\n",
        "{1: a, yes: b, ~: c, '<<': d}",
        "- 1\n- 1.5\n- yes\n- ~\n- '1'\n- !!str 1\n- ! 1\n- |\n  text\n",
    ],
)
def test_as_nodes_would_give_it(text: str) -> None:
    """Keys are text however they look; the rest is what PyYAML makes of it."""
    found, wanted = build(text), yaml.safe_load(text.replace("{1:", "{'1':").replace("~: c", "'~': c"))
    if "yes: b" in text:
        wanted["yes"] = wanted.pop(True)
    assert found == wanted
    assert list(found) == list(wanted) or "yes: b" in text


def test_an_alias_is_the_same_object() -> None:
    found = build("a: &x [1]\nb: *x\n")
    assert found["a"] is found["b"]


def test_dates_are_text() -> None:
    assert build("[2026-01-31, 2026-01-31T10:00:00Z]") == ["2026-01-31", "2026-01-31T10:00:00Z"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("a: 1\nb: 2\na: 3\n", "3: 'a' stands here twice, first in line 1"),
        ("a: &x\n  - *x\n", "1: an alias refers to itself"),
        ("a: *x\n", "1: this is not YAML: found undefined alias 'x'"),
        ("a: &x 1\nb: &x 2\n", "2: this is not YAML: found duplicate anchor 'x'"),
        ("a: 1\n---\nb: 2\n", "2: this is not YAML: but found another document"),
        ("? [a]\n: 1\n", "1: a key must be a plain word"),
        ("a: {<<: 1}\n", "1: this is not YAML: only a mapping or a list of them can be merged"),
        ("a: !secret x\n", "1: this is not YAML: could not determine a constructor for the tag '!secret'"),
        ("a: !!int ''\n", "this is not usable YAML"),
        ("[" * 5000, "this is not"),
    ],
)
def test_what_is_wrong(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "f.yml"
    path.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        yamlfile.read(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_little_more_memory_than_the_value_takes() -> None:
    text = "".join(f"- {{name: host-{n}, role: docker, disks: [a-{n}]}}\n" for n in range(2000))
    loader = yamlfile.Loader(text)
    tracemalloc.start()
    try:
        value = Builder("f.yml", loader).document()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(value) == 2000
    # Nodes take five times as much.
    assert peak < 2 * held
