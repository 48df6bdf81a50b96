"""``drcloud app``: an app from a reviewed file, by the writer of imports, and where it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb import appfile
from drcloud.cmdb.declared import Environment
from drcloud.cmdb.importer import Request, import_files
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]
SHOP = """\
name: shop
spec:
  image: team/shop
  port: 8080
  health: {path: /ready}
placements:
  - env: qa
    hosts: [dk-01]
"""


@pytest.fixture
def shop(tmp_path: Path, filled: Store) -> Path:
    path = tmp_path / "shop.yml"
    path.write_text(SHOP, encoding="utf-8")
    return path


def test_apply_checks_writes_and_then_has_nothing_to_do(drcloud: Command, filled: Store, shop: Path) -> None:
    seq = filled.declared_seq()
    code, shown, _ = drcloud("app", "apply", str(shop), "--check", "--detailed-exitcode")
    assert code == 12
    assert "+ app shop" in shown
    assert shown.endswith("nothing was written\n")
    assert filled.declared_seq() == seq
    assert drcloud("app", "apply", str(shop), "--reason", "a new shop", "--ticket", "CHG-7")[0] == 0
    [entry] = json.loads(drcloud("cmdb", "log", "app", "shop", "--json")[1])
    assert (entry["reason"], entry["ticket"]) == ("a new shop", "CHG-7")
    seq = filled.declared_seq()
    assert drcloud("app", "apply", str(shop)) == (
        0,
        "nothing to change: the CMDB is as the file says\n",
        "",
    )
    assert filled.declared_seq() == seq
    assert json.loads(drcloud("app", "show", "shop", "--json")[1])["spec_versions"] == [1]


def test_a_specification_that_differs_becomes_a_version_and_is_told_field_by_field(
    drcloud: Command, shop: Path
) -> None:
    drcloud("app", "apply", str(shop))
    shop.write_text(SHOP.replace("/ready", "/works").replace("8080", "8081"), encoding="utf-8")
    code, shown, _ = drcloud("app", "apply", str(shop))
    assert code == 0
    for line in (
        "~ app shop  spec_version: 1 → 2",
        "document.port: 8080 → 8081",
        "document.health.path: /ready → /works",
    ):
        assert line in shown
    card = json.loads(drcloud("app", "show", "shop", "--json")[1])
    assert (card["spec_version"], card["spec_versions"], card["spec"]["port"]) == (2, [1, 2], 8081)
    former = json.loads(drcloud("app", "show", "shop", "--version", "1", "--json")[1])
    assert former["spec"]["port"] == 8080
    code, _, said = drcloud("app", "show", "shop", "--version", "9")
    assert (code, said) == (2, "drcloud: app shop has no specification 9: it has 1, 2\n")


def test_an_import_of_the_same_finds_nothing_to_do(filled: Store, shop: Path, tmp_path: Path) -> None:
    appfile.apply(filled, shop)
    whole = tmp_path / "whole.yml"
    whole.write_text(
        "drcloud: 1\napps: [{name: shop, spec: {image: team/shop, port: 8080, health: {path: /ready}}}]\n"
        "placements: [{app: shop, env: qa, hosts: [dk-01]}]\n",
        encoding="utf-8",
    )
    assert import_files(filled, Request((whole,))) == ()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("- name: shop\n", "1: an app file is a mapping of name, registry, spec"),
        ("drcloud: 1\napps: []\n", "1: drcloud: this is a CMDB file: `drcloud cmdb import` takes it"),
        ("name: shop\nspek: {}\n", "2: spek: there is no such field: did you mean spec?"),
        ("name: shop\nspec_version: 3\nspec: {}\n", "2: spec_version: there is no such field"),
        ("name: shop\n", "1: spec: is missing"),
        ("name: Shop\nspec: {image: a, port: 1}\n", "1: name: 'Shop' is no app name"),
        ("name: shop\nspec:\n  image: a\n  port: 0\n", "4: spec.port: must be 1 or more, not 0"),
        (
            "name: shop\nspec:\n  image: a\n  port: 1\n  helth: {}\n",
            "5: spec.helth: there is no such field: did you mean health?",
        ),
        (
            "name: shop\nspec:\n  image: a\n  port: 1\n  health:\n    retrys: 1\n",
            "6: spec.health.retrys: there is no such field: did you mean retries?",
        ),
        (
            "name: shop\nspec:\n  image: a\n  port: 1\n  overrides:\n    prd: {}\n",
            "6: spec.overrides.prd: there is no environment 'prd' in the file or the CMDB: did you mean",
        ),
        (
            "name: shop\nspec: {image: a, port: 1}\nplacements:\n  - env: qa\n    hosts: [dk-01, dk-09]\n",
            "5: placements[0].hosts[1]: there is no host 'dk-09' in the file or the CMDB: did you mean",
        ),
        (
            "name: shop\nspec: {image: a, port: 1}\nplacements:\n  - {env: qa, hosts: [dk-01], app: demo}\n",
            "4: placements[0].app: leave it out, the file is of one app",
        ),
        (
            "name: shop\nspec: {image: a, port: 1}\nplacements: qa\n",
            "3: placements: must be a list, not 'qa'",
        ),
    ],
)
def test_errors_name_file_line_and_field(
    drcloud: Command, filled: Store, tmp_path: Path, text: str, wrong: str
) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(text, encoding="utf-8")
    seq = filled.declared_seq()
    code, out, said = drcloud("app", "apply", str(path))
    assert (code, out) == (2, "")
    assert f"{path}:{wrong}" in said
    assert filled.declared_seq() == seq


def test_production_needs_a_ticket(drcloud: Command, filled: Store, shop: Path) -> None:
    with filled.write(reason="guarded") as session:
        session.query(Environment).filter_by(name="prod").one().change_required = True
    shop.write_text(SHOP.replace("env: qa", "env: prod"), encoding="utf-8")
    for words in (("apply", str(shop)), ("apply", str(shop), "--check")):
        code, _, said = drcloud("app", *words)
        assert code == 6
        assert "environment prod, where a write needs an open change" in said
    assert drcloud("app", "assign", "demo", "--env", "prod", "--batch", "2")[0] == 6
    # What is so already needs nobody's leave.
    assert drcloud("app", "assign", "demo", "--env", "prod", "--batch", "1")[0] == 0


def test_a_batch_is_a_number_of_hosts_or_a_share_of_them(drcloud: Command, filled: Store) -> None:
    assert drcloud("app", "assign", "demo", "--env", "prod", "--batch", "25%")[0] == 0
    [place] = json.loads(drcloud("app", "show", "demo", "--json")[1])["placements"]
    assert place["batch"] == "25%"
    code, _, said = drcloud("app", "assign", "demo", "--env", "prod", "--batch", "all")
    assert code == 2
    assert "'all' is neither a number of hosts, as 2, nor a share of them, as 25%" in said


def test_list_and_show_tell_what_runs_where(drcloud: Command, filled: Store) -> None:
    [demo] = json.loads(drcloud("app", "list", "--json")[1])
    assert (demo["name"], demo["image"], demo["environments"]) == ("demo", "dianrong/demo", ["prod"])
    assert "dianrong/demo" in drcloud("app", "list")[1]
    [place] = json.loads(drcloud("app", "show", "demo", "--json")[1])["placements"]
    assert (place["hosts"], place["lbs"], place["channel"]) == (["dk-02", "dk-01"], ["lb-01"], None)
    shown = drcloud("app", "show", "demo")[1]
    assert "port: 8080" in shown
    assert "dk-02, dk-01" in shown
    code, _, said = drcloud("app", "show", "dem")
    assert (code, said) == (2, "drcloud: there is no app 'dem' in the CMDB: did you mean demo?\n")


def test_the_channel_of_an_environment_is_shown(drcloud: Command, filled: Store, tmp_path: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    path = tmp_path / "channel.yml"
    path.write_text(
        f'drcloud: 1\nreleases: [{{app: demo, tag: rt67, digest: "{digest}"}}]\n'
        f'channels: [{{app: demo, tag: prod, release: rt67, digest: "{digest}"}}]\n',
        encoding="utf-8",
    )
    import_files(filled, Request((path,)))
    [place] = json.loads(drcloud("app", "show", "demo", "--json")[1])["placements"]
    assert place["channel"] == {"tag": "prod", "release": "rt67", "digest": digest}
    assert "prod → rt67 aaaaaaa" in drcloud("app", "show", "demo")[1]


def test_assign_says_where_an_app_runs(drcloud: Command, filled: Store) -> None:
    words = ("app", "assign", "demo", "--env", "qa", "--hosts", "dk-01, dk-02", "--min-in-service", "1")
    assert drcloud(*words, "--check")[1].endswith("nothing was written\n")
    code, shown, _ = drcloud(*words)
    assert code == 0
    assert "+ allocation ports:dk-01/demo/qa/a" in shown
    assert drcloud(*words) == (0, "nothing to change: demo is placed like that in qa\n", "")
    changes = json.loads(drcloud("app", "assign", "demo", "--env", "qa", "--hosts", "dk-02", "--json")[1])
    assert changes["written"] is True
    assert ("placement_host", "demo@qa/dk-01", "delete") in [
        (one["kind"], one["key"], one["action"]) for one in changes["changes"]
    ]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("dem", "--env", "qa"), "there is no app 'dem' in the CMDB: did you mean demo?"),
        (("demo", "--env", "prd"), "there is no environment 'prd' in the CMDB: did you mean prod?"),
        (("demo", "--env", "qa"), "placement demo: hosts: is missing"),
        (("demo", "--env", "qa", "--hosts", "dk-09"), "there is no host 'dk-09' in the CMDB"),
        (("demo", "--env", "qa", "--hosts", "lb-01"), "host lb-01 has the role lb"),
        (
            ("demo", "--env", "prod", "--min-in-service", "3"),
            "3 instances cannot stay in service on 2 hosts: lower it or add hosts",
        ),
    ],
)
def test_assign_refuses_what_cannot_be(
    drcloud: Command, filled: Store, words: tuple[str, ...], wrong: str
) -> None:
    code, out, said = drcloud("app", "assign", *words)
    assert (code, out) == (2, "")
    assert wrong in said


def test_the_example_can_be_printed(drcloud: Command) -> None:
    assert drcloud("app", "example") == (0, appfile.example(), "")
