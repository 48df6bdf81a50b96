"""``drcloud cmdb set``: one object by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


def test_set_shows_what_it_would_do_does_it_and_then_nothing(drcloud: Command, filled: Store) -> None:
    words = ("cmdb", "set", "host", "dk-02", "asset_tag=A-7", "attrs.team=支付", "ssh_port=2222", "rack=")
    seq = filled.declared_seq()
    shown = (
        "~ host dk-02  asset_tag: none → A-7, ssh_port: 22 → 2222, rack: bj1/r1/a02 → none, "
        'attrs: {} → {"team": "支付"}\n'
    )
    assert drcloud(*words, "--dry-run") == (0, f"{shown}nothing was written\n", "")
    assert filled.declared_seq() == seq
    assert drcloud(*words, "--reason", "label found", "--ticket", "CHG-1") == (0, shown, "")
    assert drcloud(*words) == (0, "nothing to change: host dk-02 is like that\n", "")
    [entry] = json.loads(drcloud("cmdb", "log", "host", "dk-02", "--limit", "1", "--json")[1])
    assert (entry["reason"], entry["ticket"]) == ("label found", "CHG-1")


def test_set_makes_what_is_not_there_only_when_told_to(drcloud: Command, filled: Store) -> None:
    seq = filled.declared_seq()
    code, out, said = drcloud("cmdb", "set", "rack", "bj1/r1/a03", "units=47")
    assert (code, out) == (2, "")
    assert "bj1/r1/a03" in said
    assert said.rstrip().endswith("--create makes it")
    assert filled.declared_seq() == seq
    code, out, _ = drcloud("cmdb", "set", "rack", "bj1/r1/a03", "units=47", "--create", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["changes"][0]["action"] == "create"
    assert found["object"]["fields"] == {"room": "bj1/r1", "code": "a03", "units": 47, "attrs": {}}
    assert found["object"]["version"] == 1


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("host", "dk-02", "rak=a"), 2, "host dk-02: rak: there is no such field: did you mean rack?"),
        (
            ("host", "dk-02", "ssh.user=x"),
            2,
            "host dk-02: ssh.user: there is no such field: did you mean ssh_user?",
        ),
        (
            ("app_spec_version", "demo/1", 'document={"image": "A", "port": 80}'),
            2,
            "app spec version demo/1: document: image: must be a repository without registry and tag",
        ),
        (("host", "dk-02", "ssh_port=x"), 2, "host dk-02: ssh_port: must be a whole number, not 'x'"),
        (("hots", "dk-02", "a=b"), 2, "the CMDB has no kind 'hots': did you mean host?"),
        (("host", "dk-02", "asset_tag"), 2, "'asset_tag' is not FIELD=VALUE: write asset_tag=… to set it"),
        (("host", "dk-02", "role="), 2, "host dk-02: role: must not be empty"),
        (("host", "dk-20", "role=lb"), 2, "there is no host 'dk-20' in the CMDB: did you mean dk-02"),
        (("host", "dk-02", "role=lb", "--if-version", "9"), 5, "host dk-02 is at version 1, not 9"),
    ],
)
def test_mistakes(drcloud: Command, filled: Store, words: tuple[str, ...], code: int, message: str) -> None:
    seq = filled.declared_seq()
    found, out, err = drcloud("cmdb", "set", *words)
    assert (found, out) == (code, "")
    assert err.startswith(f"drcloud: {message}")
    assert filled.declared_seq() == seq
