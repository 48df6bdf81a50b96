"""Names of NetBox in the CMDB's form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drcloud.cmdb.netbox import names


@pytest.mark.parametrize(
    ("function", "text", "expected"),
    [
        (names.code, "A/01", "A-01"),
        (names.code, "机柜 02", "机柜-02"),
        (names.code, "  row 3 / rack #4 ", "row-3-rack-4"),
        (names.code, "b3.r1", "b3.r1"),
        (names.host, "Web 01", "web-01"),
        (names.host, "DB_01.example", "db-01.example"),
        (names.word, "Docker-Host", "docker-host"),
    ],
)
def test_names_that_fit_after_a_change(function: Callable[[str], str], text: str, expected: str) -> None:
    assert function(text) == expected
    assert function(expected) == expected


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (names.code, "///"),
        (names.code, "x" * 33),
        (names.host, "数据库"),
        (names.host, "web:01"),
        (names.host, "x" * 65),
        (names.host, ""),
        (names.word, "1st"),
        (names.word, "生产"),
    ],
)
def test_names_that_cannot_fit_are_named(function: Callable[[str], str], text: str) -> None:
    with pytest.raises(ValueError, match="gives") as caught:
        function(text)
    assert repr(text) in str(caught.value)


def test_models_of_two_makers_stay_apart() -> None:
    assert names.model("dell", "r740") == "dell-r740"
    assert names.model("dell", "dell-r740") == "dell-r740"
    assert names.model("hpe", "r740") == "hpe-r740"
