"""Completion of names: from the CMDB, and without a word where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from drcloud.cli import names
from drcloud.cmdb.declared import Channel, Release
from drcloud.cmdb.lookup import app
from drcloud.cmdb.store import Store


def typed(**params: str) -> Any:
    return SimpleNamespace(params=params)


def test_kinds() -> None:
    assert names.kinds("host") == ["host", "host_key", "host_tag"]


@pytest.mark.parametrize(
    ("kind", "begin", "expected"),
    [
        ("host", "dk", ["dk-01", "dk-02"]),
        ("host", "_k", []),
        ("app", "", ["demo"]),
        ("environment", "p", ["prod"]),
        ("rack", "bj1/r1/", ["bj1/r1/a01", "bj1/r1/a02"]),
        ("placement", "de", ["demo@prod"]),
        ("address", "10.90.0.1", ["10.90.0.11", "10.90.0.12"]),
    ],
)
def test_names_of_a_kind(filled: Store, kind: str, begin: str, expected: list[str]) -> None:
    assert names.of(kind)(begin) == expected
    assert names.objects(typed(kind=kind), begin) == expected


def test_tags_are_those_of_the_app(filled: Store) -> None:
    with filled.write(reason="built") as session:
        demo = app(session, "demo")
        release = Release(app=demo, tag="rt67", digest="sha256:" + "0" * 64)
        session.add(release)
        session.flush()
        session.add(Channel(app=demo, tag="rt67", release=release))
    assert names.tags(typed(app="demo"), "rt") == names.tags(typed(app_name="demo"), "") == ["rt67"]
    assert names.tags(typed(app="shop"), "") == []


def test_nothing_to_ask_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRCLOUD_CMDB_URL", "sqlite:////nowhere/cmdb.sqlite3")
    assert names.of("host")("") == names.tags(typed(app="demo"), "") == []
    assert names.objects(typed(kind="hots"), "") == names.objects(typed(), "") == []


def test_a_shell_asks(filled: Store) -> None:
    asked = {
        "_DRCLOUD_COMPLETE": "complete_bash",
        "COMP_WORDS": "drcloud cmdb delete host dk",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'drcloud'; from drcloud.cli.main import main; main()",
        ],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (["dk-01", "dk-02"], "")
