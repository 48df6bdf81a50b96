"""``drcloud runs list``: what was run, the newest first, and honest about what was lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from drcloud.cli import border
from drcloud.cli.main import app
from drcloud.cmdb.base import now
from drcloud.cmdb.operational import Run
from drcloud.cmdb.store import Store
from drcloud.runs import listing, process


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
    monkeypatch.setenv("DRCLOUD_CMDB_URL", url)
    found = Store.create(url)
    here = {"machine": process.machine(), "pid": os.getpid(), "start": process.this().start}
    rows = [
        ("one", "succeeded", 0, {"limit": "dk-*", "check": True}),
        ("two", "failed", 1, {}),
        ("three", "running", None, {"owner": here}),
        ("four", "running", None, {"owner": {**here, "start": -1}}),
    ]
    with found.operate() as session:
        for uid, state, code, request in rows:
            summary = {"message": f"the end of {uid}"} if code is not None else {}
            session.add(
                Run(
                    uid=uid,
                    playbook="dianrong.cloud.provision",
                    request=request,
                    state=state,
                    exit_code=code,
                    actor="ops@bj1",
                    started_at=now(),
                    ended_at=now() if code is not None else None,
                    summary=summary,
                )
            )
            session.flush()
    return found


def test_the_newest_comes_first_and_what_has_no_process_is_lost(store: Store) -> None:
    found = listing.read(store)
    assert [(one.run, one.state, one.exit_code) for one in found] == [
        ("four", "lost", 9),
        ("three", "running", None),
        ("two", "failed", 1),
        ("one", "succeeded", 0),
    ]
    assert (found[-1].limit, found[-1].check, found[-1].message) == ("dk-*", True, "the end of one")


@pytest.mark.parametrize(
    ("state", "limit", "expected"),
    [
        ("lost", None, ["four"]),
        ("running", 1, ["three"]),
        ("failed", None, ["two"]),
        ("queued", None, []),
        (None, 2, ["four", "three"]),
    ],
)
def test_one_state_or_the_newest(
    store: Store, state: str | None, limit: int | None, expected: list[str]
) -> None:
    assert [one.run for one in listing.read(store, state, limit)] == expected


def test_the_command(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["drcloud", "runs", "list", *words])
        code = border.guarded(app)
        return code, *capsys.readouterr()

    code, out, err = call("-n", "2")
    assert (code, len(out.splitlines()), err) == (0, 3, "… the newest 2; --limit 0 shows all\n")
    assert "dianrong.cloud.provision (check)" in call()[1].splitlines()[-1]
    [one] = json.loads(call("--state", "failed", "--json")[1])["runs"]
    assert (one["run"], one["exit_code"], one["actor"]) == ("two", 1, "ops@bj1")
    assert call("--state", "fialed")[0] == 2
