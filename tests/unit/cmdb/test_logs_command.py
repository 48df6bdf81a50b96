"""``drcloud logs``: what it refuses before a log server is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drcloud.cmdb.store import Store


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dmeo", "--env", "qa"], "demo"),
        (["demo", "--env", "nowhere"], "nowhere"),
        (["demo"], "--env prod"),
        ([], "--host"),
        (["--host", "dk-99"], "dk-99"),
        (["--host", "dk-01", "--env", "qa"], "--env goes with an app"),
        (["demo", "--env", "qa", "--since", "soon"], "is no moment"),
    ],
)
def test_what_cannot_be_read_is_bad_usage(
    filled: Store, drcloud: Callable[..., tuple[int, str, str]], arguments: list[str], message: str
) -> None:
    code, shown, said = drcloud("logs", *arguments)
    assert (code, shown) == (2, "")
    assert message in said
