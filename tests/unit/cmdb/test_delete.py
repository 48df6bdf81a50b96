"""``drcloud cmdb delete``: one object away, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import typer

from drcloud.cmdb import lookup
from drcloud.cmdb.operational import Deployment, DeploymentStep
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


def test_delete_shows_what_goes_asks_and_says_what_it_did(drcloud: Command, filled: Store) -> None:
    seq = filled.declared_seq()
    words = ("cmdb", "delete", "schedule", "nightly")
    assert drcloud(*words, "--dry-run") == (0, "- schedule nightly\nnothing was written\n", "")
    code, out, err = drcloud(*words)
    assert (code, out) == (2, "")
    assert "- schedule nightly" in err
    assert "this would remove 1 object: say --yes where nobody can be asked" in err
    assert filled.declared_seq() == seq
    done = (0, "- schedule nightly\nremoved 1 object\n", "")
    assert drcloud(*words, "--yes", "--reason", "nobody reads it", "--ticket", "CHG-1") == done
    [entry] = json.loads(drcloud("cmdb", "log", "schedule", "nightly", "--limit", "1", "--json")[1])
    assert (entry["action"], entry["reason"], entry["ticket"]) == ("delete", "nobody reads it", "CHG-1")


def test_what_belongs_to_it_goes_along(drcloud: Command, filled: Store) -> None:
    drcloud("cmdb", "set", "host", "dk-09", "role=docker", "--create")
    drcloud("cmdb", "set", "nic", "dk-09/eth0", "--create")
    found = json.loads(drcloud("cmdb", "delete", "host", "dk-09", "--yes", "--json")[1])
    assert [(one["kind"], one["key"]) for one in found["changes"]] == [
        ("nic", "dk-09/eth0"),
        ("host", "dk-09"),
    ]


def test_on_a_terminal_the_answer_counts(
    drcloud: Command, filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for answer, code in ((False, 7), (True, 0)):
        monkeypatch.setattr("typer.confirm", _answering(answer))
        assert drcloud("cmdb", "delete", "schedule", "nightly")[0] == code
    assert drcloud("cmdb", "show", "schedule", "nightly")[0] == 2


def _answering(answer: bool) -> Callable[..., bool]:
    def confirm(*_words: object, **_options: object) -> bool:
        if not answer:
            raise typer.Abort
        return True

    return confirm


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("host", "dk-1"), 2, "there is no host 'dk-1' in the CMDB: did you mean"),
        (("hots", "dk-01"), 2, "the CMDB has no kind 'hots': did you mean host?"),
        (("host", "dk-02"), 2, "host dk-02 is still used by placement host demo@prod/dk-02"),
        (("schedule", "nightly", "--if-version", "9"), 5, "schedule nightly is at version 1, not 9"),
    ],
)
def test_mistakes(drcloud: Command, filled: Store, words: tuple[str, ...], code: int, message: str) -> None:
    seq = filled.declared_seq()
    found, out, err = drcloud("cmdb", "delete", *words, "--yes")
    assert (found, out) == (code, "")
    assert err.startswith(f"drcloud: {message}")
    assert filled.declared_seq() == seq


def test_what_the_ledger_tells_of_stays(drcloud: Command, filled: Store) -> None:
    drcloud("cmdb", "set", "host", "dk-09", "role=docker", "--create")
    with filled.operate() as session:
        placement = lookup.placement(session, "demo", "prod")
        session.add(
            Deployment(
                uid="d-1",
                app_id=placement.app_id,
                environment_id=placement.environment_id,
                tag="rt67",
                digest="sha256:0",
                revision="r",
                spec_version=1,
                plan={},
                actor="test",
                steps=[DeploymentStep(host_id=lookup.host(session, "dk-09").id, position=0, batch=0)],
            )
        )
    code, _, err = drcloud("cmdb", "delete", "host", "dk-09", "--yes")
    assert (code, err) == (
        2,
        "drcloud: host dk-09 cannot go: deployment_step tells of it in 1 row, and what was done is kept\n",
    )


def test_show_tells_the_version_that_a_write_may_ask_for(drcloud: Command, filled: Store) -> None:
    assert json.loads(drcloud("cmdb", "show", "host", "dk-02", "--json")[1])["version"] == 1
    drcloud("cmdb", "set", "host", "dk-02", "asset_tag=A-7")
    shown = json.loads(drcloud("cmdb", "show", "host", "dk-02", "--json")[1])
    assert shown["version"] == 2
    assert "version" in drcloud("cmdb", "show", "host", "dk-02")[1]
    past = json.loads(drcloud("cmdb", "show", "host", "dk-02", "--as-of", "now", "--json")[1])
    assert "version" not in past
    assert drcloud("cmdb", "set", "host", "dk-02", "asset_tag=A-8", "--if-version", "2")[0] == 0
