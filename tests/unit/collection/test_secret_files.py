"""Secrets on a host: whole files behind a door that only root opens, gone with their container."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _secrets


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_written_behind_a_closed_door_and_replaced_as_a_whole(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    _secrets.write("demo_prod_a_1", {"OLD": b"x", "PASSWORD": b"y"}, str(root))
    place = Path(_secrets.write("demo_prod_a_1", {"PASSWORD": b"g\xc3\xa4heim\n"}, str(root)))
    assert place == root / "demo_prod_a_1"
    assert [path.name for path in place.iterdir()] == ["PASSWORD"]
    assert (place / "PASSWORD").read_bytes() == b"g\xc3\xa4heim\n"
    # Nobody but the owner passes the root; in the container any user may read.
    assert (mode(root), mode(place), mode(place / "PASSWORD")) == (0o700, 0o755, 0o444)


def test_an_open_door_is_closed_again(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    root.mkdir(mode=0o755)
    _secrets.write("demo_prod_a_1", {"A": b"x"}, str(root))
    assert mode(root) == 0o700


def test_what_a_crash_left_is_found_and_only_that(tmp_path: Path) -> None:
    for name in ("demo_prod_a_1", "demo_prod_b_2", "demo-x_prod_a_1", "demo_qa_a_1"):
        _secrets.write(name, {"A": b"x"}, str(tmp_path))
    assert _secrets.strays("demo_prod_", {"demo_prod_b_2"}, str(tmp_path)) == ["demo_prod_a_1"]
    _secrets.remove("demo_prod_a_1", str(tmp_path))
    _secrets.remove("demo_prod_a_1", str(tmp_path))
    assert _secrets.strays("demo_prod_", {"demo_prod_b_2"}, str(tmp_path)) == []
    assert _secrets.strays("demo_prod_", set(), str(tmp_path / "nowhere")) == []


def test_values_come_as_base64() -> None:
    text = base64.b64encode("密码".encode()).decode()
    assert _secrets.decoded({"A": text}) == {"A": "密码".encode()}
    assert _secrets.decoded(None) == {}
    with pytest.raises(_secrets.SecretsError, match="secret A is to be given as base64") as caught:
        _secrets.decoded({"A": "hunter2!"})
    assert "hunter2" not in str(caught.value)
    for name in ("../x", "", ".."):
        with pytest.raises(_secrets.SecretsError, match="no name of a file"):
            _secrets.decoded({name: text})


def test_log_lines_lose_what_they_tell() -> None:
    lines = ["connecting with hunter2", "key: BEGIN", "fine"]
    assert _secrets.hidden(lines, [b"hunter2", b"BEGIN\nEND\n", b""]) == [
        "connecting with ********",
        "key: ********",
        "fine",
    ]
