"""A request is checked when it is made, and its record holds no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drcloud.cli.run import read_variables
from drcloud.errors import InvalidInputError, NotFoundError
from drcloud.runs import RunRequest, inventory
from drcloud.runs.runner import command
from drcloud.runs.target import check_vars_files, resolve


@pytest.mark.parametrize(
    "wrong",
    [
        {"playbook": " "},
        {"limit": " "},
        {"verbosity": 9},
        {"forks": 0},
        {"extra_vars": {"not-a-name": 1}},
    ],
)
def test_wrong_requests(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        RunRequest(**{"playbook": "p.yml", **wrong})


def test_the_record_has_names_and_only_harmless_values() -> None:
    request = RunRequest(playbook="p.yml", extra_vars={"app": "shop", "password": "s3cret"}, recorded=["app"])

    record = request.record()

    assert record["extra_vars"] == ["app", "password"]
    assert record["values"] == {"app": "shop"}
    assert "s3cret" not in str(record)


def test_the_command_line_shows_no_values(tmp_path: Path) -> None:
    request = RunRequest(
        playbook="p.yml", extra_vars={"password": "s3cret"}, limit="a", tags=["x", "y"], check=True
    )

    line = command(request, "/p.yml", ["/i.yml"], tmp_path)

    assert "s3cret" not in " ".join(line)
    assert line[-1] == "/p.yml"
    assert line[-6:-1] == ["--limit", "a", "--tags", "x,y", "--check"]
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_inventory_order(tmp_path: Path) -> None:
    source = tmp_path / "lab.cmdb.yml"
    source.write_text("")
    environ = {"DRCLOUD_INVENTORY": str(source), "ANSIBLE_INVENTORY": "x"}

    assert inventory.resolve(["a,b,"], environ, tmp_path) == ("a,b,",)
    assert inventory.resolve([], environ, tmp_path) == (str(source),)
    assert inventory.resolve([], {"ANSIBLE_INVENTORY": f"{source},{source}"}, tmp_path) == (str(source),) * 2
    (generated,) = inventory.resolve([], {}, tmp_path)
    assert Path(generated).name.endswith(".cmdb.yml")
    assert Path(generated).read_text() == "plugin: dianrong.cloud.cmdb\n"


def test_an_inventory_that_does_not_exist_is_named_with_where_it_was_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nope \(-i\)"):
        inventory.resolve(["nope"], {}, tmp_path)
    with pytest.raises(InvalidInputError, match=r"\$DRCLOUD_INVENTORY"):
        inventory.resolve([], {"DRCLOUD_INVENTORY": "/nope"}, tmp_path)


def test_playbooks(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    file.write_text("")
    assert resolve(str(file)) == str(file)
    assert resolve("dianrong.cloud.deploy") == "dianrong.cloud.deploy"
    for missing in ("nope.yml", "x.y.nope.yml", "nope"):
        with pytest.raises(NotFoundError, match="nope"):
            resolve(missing)
    with pytest.raises(InvalidInputError, match="directory"):
        resolve(str(tmp_path))
    with pytest.raises(NotFoundError, match="file of variables"):
        check_vars_files([str(file), "vars.yml"])


def test_variables_of_the_command_line() -> None:
    found = read_variables(["a=1 b='x y'", '{"c": [1, 2]}', "{d: e}", "@file.yml", "empty="])

    assert found.values == {"a": "1", "b": "x y", "c": [1, 2], "d": "e", "empty": ""}
    assert found.files == ["file.yml"]


@pytest.mark.parametrize("option", ["word", "=x", "{broken", "a='open", ""])
def test_wrong_variables_are_refused_without_repeating_them(option: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_variables([option])
    assert len(option) < 4 or option not in str(caught.value)
