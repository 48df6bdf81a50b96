"""``drcloud app config``: versions that never change, names and values that an environment can hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drcloud.cmdb import appconfig
from drcloud.cmdb.declared import Environment
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]
PROD = ("demo", "--env", "prod")


@pytest.fixture
def config(drcloud: Command) -> Command:
    def run(verb: str, *words: str) -> tuple[int, str, str]:
        return drcloud("app", "config", verb, *PROD, *words)

    return run


def present(store: Store) -> tuple[int, dict[str, Any]]:
    with store.read() as session:
        found = appconfig.present(session, "demo", "prod")
    return found.number, found.values


def test_every_change_is_a_version_and_the_same_is_none(config: Command, filled: Store) -> None:
    assert "has no configuration in prod" in config("show")[1]
    made = "+ POOL: 5\n+ URL: http://a=b\nconfiguration 1 of demo in prod: the next deploy rolls it\n"
    assert config("set", "POOL=5", "URL=http://a=b", "--reason", "first", "--ticket", "CHG-1") == (
        0,
        made,
        "",
    )
    seq = filled.declared_seq()
    assert config("set", "POOL=5") == (
        0,
        "nothing to change: configuration 1 of demo in prod is like that\n",
        "",
    )
    assert filled.declared_seq() == seq
    code, shown, _ = config("set", "POOL=6", "--unset", "URL", "--check")
    assert (code, shown) == (
        0,
        "~ POOL: 5 → 6\n- URL: http://a=b\n"
        "this would be configuration 2 of demo in prod; nothing was written\n",
    )
    assert filled.declared_seq() == seq
    assert config("set", "POOL=6", "--unset", "URL")[0] == 0
    assert present(filled) == (2, {"POOL": "6"})
    first = json.loads(config("show", "--version", "1", "--json")[1])
    assert first["values"] == {"POOL": "5", "URL": "http://a=b"}
    assert (first["newest"], first["reason"], first["ticket"]) == (2, "first", "CHG-1")
    shown = config("show")[1]
    assert "configuration 2 of 2 of demo in prod" in shown
    assert "POOL" in shown


def test_diff_and_rollback(config: Command, filled: Store) -> None:
    for words in (("A=1",), ("A=2", "B=值"), ("--unset", "A")):
        config("set", *words)
    assert config("diff")[1] == "configuration 2 → 3 of demo in prod\n- A: 2\n"
    assert config("diff", "1", "2")[1].endswith("~ A: 1 → 2\n+ B: 值\n")
    told = json.loads(config("diff", "1", "--json")[1])
    assert (told["from"], told["to"], len(told["differences"])) == (1, 3, 2)
    assert config("rollback", "--check")[1].startswith("+ A: 2\n")
    assert config("rollback")[0] == 0
    assert present(filled) == (4, {"A": "2", "B": "值"})
    assert config("rollback", "--to", "1")[1] == (
        "~ A: 2 → 1\n- B: 值\nconfiguration 5 of demo in prod: the next deploy rolls it\n"
    )
    assert config("rollback", "--to", "1")[1].startswith("nothing to change")
    with filled.read() as session:
        kept = [appconfig.version(session, "demo", "prod", number).values for number in (1, 2, 3)]
    assert kept == [{"A": "1"}, {"A": "2", "B": "值"}, {"B": "值"}]


def test_going_back_before_the_first_leaves_an_empty_one(config: Command, filled: Store) -> None:
    config("set", "A=1")
    assert config("rollback")[0] == 0
    assert present(filled) == (2, {})


def test_a_file_is_merged(config: Command, filled: Store, tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_text('A: "1"\nB: two\n', encoding="utf-8")
    config("set", "C=3")
    assert config("set", "--file", str(path), "B=zwei")[0] == 0
    assert present(filled)[1] == {"A": "1", "B": "zwei", "C": "3"}
    path.write_text("A: text\nB: 010\n", encoding="utf-8")
    assert f"{path}:2: B: must be text" in config("set", "--file", str(path))[2]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ((), "there is nothing to set"),
        (("A",), "'A' is not KEY=VALUE: write A=…"),
        (("a-b=1",), "'a-b' is not the name of an environment variable"),
        (("1A=1",), "'1A' is not the name of an environment variable"),
        (("=1",), "'' is not the name of an environment variable"),
        (("A\n=1",), "is not the name of an environment variable"),
        (("PASSWORD=file:/etc/secret",), "PASSWORD: this looks like a reference to a secret"),
        (("PASSWORD=env:SECRET",), "name it under `secrets` of the app's specification"),
        (("PASSWORD=vault:all.yml#key",), "PASSWORD: this looks like a reference to a secret"),
        (("A=1", "--unset", "A"), "A is to be set and taken out"),
        (("--unset", "A"), "the configuration of demo in prod has no A to take out"),
    ],
)
def test_what_is_no_configuration_is_refused(
    config: Command, filled: Store, words: tuple[str, ...], wrong: str
) -> None:
    code, out, said = config("set", *words)
    assert (code, out) == (2, "")
    assert wrong in said
    assert present(filled) == (0, {})


def test_unknown_versions_and_names_are_told(drcloud: Command, config: Command, filled: Store) -> None:
    assert "has no configuration 3 in prod: it has none yet" in config("show", "--version", "3")[2]
    assert "there is nothing to go back to" in config("rollback")[2]
    config("set", "A=1")
    assert "has no configuration 3 in prod: the newest is 1" in config("rollback", "--to", "3")[2]
    assert drcloud("app", "config", "set", "dem", "--env", "prod", "A=1")[2] == (
        "drcloud: there is no app 'dem' in the CMDB: did you mean demo?\n"
    )
    assert drcloud("app", "config", "show", "demo", "--env", "prd")[0] == 2


def test_production_needs_a_ticket(drcloud: Command, config: Command, filled: Store) -> None:
    with filled.write(reason="guarded") as session:
        session.query(Environment).filter_by(name="prod").one().change_required = True
    for words in (("A=1",), ("A=1", "--check")):
        code, _, said = config("set", *words)
        assert code == 6
        assert "app_config demo/prod/1 belongs to environment prod" in said
    assert drcloud("app", "config", "set", "demo", "--env", "qa", "A=1")[0] == 0


def test_what_an_import_brought_becomes_text() -> None:
    values = {"A": "1", "B": 2, "C": True, "D": {"x": [1]}, "E": None, "F": "值"}
    assert appconfig.variables(values, "configuration 1") == {
        "A": "1",
        "B": "2",
        "C": "true",
        "D": '{"x": [1]}',
        "F": "值",
    }
