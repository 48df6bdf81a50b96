"""``drcloud cmdb sync netbox``: what a user sees, and the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.netbox.box import Company
from tests.integration.netbox.standin import TOKEN, Answer, Standin

from drcloud.cli.border import guarded
from drcloud.cli.main import app
from drcloud.cmdb.store import Store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sync(
    small: Company, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command against the company; give exit code, output and errors."""
    monkeypatch.setenv("DRCLOUD_CMDB_URL", store.url)
    monkeypatch.setenv("NETBOX_TOKEN", TOKEN)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["drcloud", "cmdb", "sync", "netbox", "--url", small.box.url, *words]
        )
        code = guarded(app)
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, out, err

    return run


def test_a_dry_run_shows_what_would_change(sync: Command, store: Store) -> None:
    code, out, err = sync("--dry-run")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "+ idc bj1  code: bj1, name: 北京一号" in lines
    assert "+ rack_slot bj1/b3.r1/A-01/10  rack: bj1/b3.r1/A-01, host: web-01, unit: 10" in lines
    assert lines[-1] == "would be 18 created; nothing was written"
    assert store.declared_seq() == 0


def test_a_pull_and_a_change_of_one_field(sync: Command, small: Company) -> None:
    assert sync()[:2] == (0, "18 created\n")
    assert sync()[1] == "nothing to change: the CMDB is as NetBox says\n"
    small.box.change("dcim/devices", small.web, serial="SN9")
    assert sync("--dry-run")[1].splitlines() == [
        "~ host web-01  serial: SN1 → SN9",
        "would be 1 changed; nothing was written",
    ]
    assert sync("--ticket", "CHG-1")[1] == "1 changed\n"


def test_what_is_left_out_and_what_vanished_is_told_aside(sync: Command, small: Company) -> None:
    bare = small.device("web-09")
    code, _, err = sync()
    assert (code, err) == (0, f"left out: web-09 (dcim/devices/{bare}) has no primary address\n")
    small.box.remove("dcim/devices", small.web)
    told = sync()[2].splitlines()
    assert "vanished from NetBox: host web-01 (--prune retires it)" in told
    assert "vanished from NetBox: nic web-01/eth0 (--prune removes it)" in told
    assert sync("--prune")[1] == "1 changed, 5 deleted\n"


def test_json(sync: Command, small: Company) -> None:
    sync()
    small.box.change("dcim/devices", small.web, serial="SN9")
    document = json.loads(sync("--json")[1])
    assert document["changes"] == [
        {
            "kind": "host",
            "key": "web-01",
            "action": "update",
            "before": {"serial": "SN1"},
            "after": {"serial": "SN9"},
        }
    ]
    assert document["vanished"] == document["left_out"] == []
    assert document["read"]["dcim/devices"] == 2


def test_the_token_comes_from_a_file(sync: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.delenv("NETBOX_TOKEN")
    assert sync("--token-file", str(file))[0] == 0
    code, _, err = sync()
    assert (code, err) == (
        2,
        "drcloud: there is no NetBox token: set NETBOX_TOKEN, or name a file with --token-file\n",
    )
    assert sync("--token-file", str(tmp_path / "none"))[0] == 2


def test_exit_codes(sync: Command, server: Standin) -> None:
    server.twist("dcim/devices", lambda _query, _page: Answer(403, b"{}"))
    assert sync()[0] == 6
    server.twist("dcim/devices", lambda _query, _page: Answer(200, b"nonsense"))
    assert sync()[0] == 11
    server.twist("dcim/devices", lambda _query, _page: Answer(301))
    assert sync()[0] == 2
    assert sync("--site", "nowhere")[0] == 2
