"""``drcloud inventory explain``: a group that no rule makes is not answered for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def source(tmp_path: Path) -> Callable[[str], str]:
    """Write a source and return its name."""

    def write(text: str) -> str:
        path = tmp_path / "site.cmdb.yml"
        path.write_text(f"plugin: dianrong.cloud.cmdb\n{text}\n", encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "host", "group", "hint"),
    [
        ("", "dk-01", "role_dockr", "did you mean role_docker"),
        ("keyed_groups: [{key: dr_role, prefix: is}]", "dk-01", "is_dockr", "did you mean is_docker"),
        ("role: [docker]", "lb-01", "role_dockr", "did you mean role_docker"),
        ("", "dk-01", "zzz", "`ansible-inventory --graph` shows the groups"),
    ],
)
def test_no_such_group(
    drcloud: Command, filled: Store, source: Callable[[str], str], text: str, host: str, group: str, hint: str
) -> None:
    code, out, err = drcloud("inventory", "explain", host, group, "-i", source(text))
    assert (code, out) == (4, "")
    assert err.startswith(f"drcloud: no rule makes a group '{group}' of this inventory: {hint}")


def test_a_host_that_is_left_out_of_groups_that_there_would_be(
    drcloud: Command, filled: Store, source: Callable[[str], str]
) -> None:
    name = source("role: [docker]\nkeyed_groups: [{key: dr_role, prefix: is}]")
    for group in ("role_lb", "is_lb", "all", "rack_bj1_r1_a01"):
        code, out, _ = drcloud("inventory", "explain", "lb-01", group, "-i", name)
        assert (code, out) == (
            0,
            f"lb-01 is not in {group}:\n  role: its role is lb, the source asks for docker\n",
        )


def test_a_misspelt_option_is_refused(drcloud: Command, filled: Store, source: Callable[[str], str]) -> None:
    for words in (("explain", "dk-01", "role_docker"), ("diff", "0")):
        code, out, err = drcloud("inventory", *words, "-i", source("statee: [active]"))
        assert (code, out) == (2, "")
        assert err.endswith("site.cmdb.yml: unknown option statee; did you mean state?\n")
