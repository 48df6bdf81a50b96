"""The ways back on real hosts: a roll that the app fails, a rollback, and a roll that was cut short."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.lab.rolling import (
    FIRST,
    HOSTS,
    LATE,
    PICKED,
    PICKY,
    PLAYBOOK,
    SECOND,
    Run,
    claimed,
    deploy,
    drcloud,
    last,
    needed,
    running,
    said,
    steps,
    tags,
    under_load,
    wait_for,
)

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("built", "locks_are_free")]
ON_FIRST = dict.fromkeys(HOSTS, FIRST)


def rollback(*arguments: str) -> subprocess.CompletedProcess[str]:
    return drcloud("rollback", "demo", "--env", "prod", *arguments)


def one_each(on: Run) -> bool:
    return all(len(names) == 1 for names in running(on).values())


@pytest.fixture
def on_second(built: None) -> None:
    """All hosts run the second release, and ran the first before."""
    if tags() != dict.fromkeys(HOSTS, SECOND):
        for tag in (FIRST, SECOND):
            done = deploy(tag)
            assert done.returncode == 0, said(done)


def test_a_rollback_goes_to_what_was_stable_and_no_further(
    on: Run, clients: list[str], on_second: None, play: Run
) -> None:
    dry = rollback("--check")
    assert dry.returncode == 0, said(dry)
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    back, seen = under_load(clients, rollback)
    assert back.returncode == 0, said(back)
    assert seen.lost == 0, seen.errors
    assert set(seen.by_version) == {FIRST, SECOND}
    assert tags() == ON_FIRST
    assert one_each(on)
    never = rollback("--to", "t9")
    assert never.returncode == ExitCode.INVALID_INPUT, said(never)
    assert "never ran t9 to the end: its stable tags are" in never.stderr
    forth = ("-e", "app=demo", "-e", "env=prod", "-e", f"tag={SECOND}")
    again = play("dianrong.cloud.rollback", "--check", *forth)
    assert again.returncode == 0, said(again)
    assert tags() == ON_FIRST


def test_where_one_host_says_no_all_of_them_go_back(on: Run, clients: list[str], on_first: None) -> None:
    done, seen = under_load(clients, lambda: deploy(PICKY))
    assert done.returncode == ExitCode.FAILED, said(done)
    assert seen.lost == 0, seen.errors
    assert set(steps().values()) <= {"reverted", "skipped"}
    assert f"stopped at {PICKED} (back on what it ran before)" in done.stdout
    back = [step for step in last().steps if step.state == "reverted" and step.host.name != PICKED]
    assert len(back) > 1, "nobody was on it already"
    assert f"put back: {', '.join(step.host.name for step in back)}; untouched: " in done.stdout
    assert {step.detail["reason"][:11] for step in back} == {"put back to"}
    assert last().state == "reverted"
    assert tags() == ON_FIRST
    assert one_each(on)


@pytest.mark.lab_slow
def test_a_plan_is_looked_at_and_applied_later_as_long_as_it_holds(on_first: None, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    planned = deploy(SECOND, "--plan", "--save", str(file))
    assert planned.returncode == 0, said(planned)
    assert "image t1 " in planned.stdout
    assert f"6 of 6 hosts are in service, {needed()} must stay, " in planned.stdout
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert min(saved["staying"]) >= needed()
    for number in range(len(saved["serial"])):
        racks = [step["rack"] for step in saved["steps"] if step["batch"] == number]
        assert len(set(racks)) == len(racks), saved
    assert tags() == ON_FIRST
    applied = drcloud("deploy", "demo", "--env", "prod", "--apply", str(file))
    assert applied.returncode == 0, said(applied)
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    stale = drcloud("deploy", "demo", "--env", "prod", "--apply", str(file))
    assert stale.returncode == ExitCode.INVALID_INPUT, said(stale)
    assert "the plan does not hold any more: host dk-01 ran revision" in stale.stdout + stale.stderr
    assert leases.held(Store.open()) == []


@pytest.mark.lab_slow
def test_an_app_that_dies_after_a_while_is_found_out_and_taken_back(
    on: Run, clients: list[str], on_first: None
) -> None:
    done, seen = under_load(clients, lambda: deploy(LATE, "--canary-watch", "25"))
    assert done.returncode == ExitCode.FAILED, said(done)
    assert last().state == "reverted", said(done)
    assert tags() == ON_FIRST
    assert one_each(on)
    # What the first host had in hand when its app died may break, and nothing else.
    assert seen.failed <= len(clients), seen.errors
    assert sorted(steps().values()) == ["reverted", *["skipped"] * 5]
    # Its last words outlive it: in the ledger, where the roll is told, and in the history.
    [first] = [step for step in last().steps if step.state == "reverted"]
    assert "its new instance" in first.detail["reason"]
    told = drcloud("history", "--deployment", last().uid)
    for lines in ("\n".join(first.detail["logs"]), done.stdout, told.stdout):
        assert "demo: crashing as told by CRASH_AFTER" in lines, said(done)


@pytest.mark.lab_slow
def test_a_roll_that_was_cut_short_goes_on_where_it_was(on: Run, clients: list[str], on_first: None) -> None:
    playbook = [PLAYBOOK, "-i", os.environ["DRCLOUD_INVENTORY"]]
    variables = ["-e", "app=demo", "-e", f"tag={SECOND}", "-e", "env=prod"]

    def kill_and_resume() -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            [*playbook, "dianrong.cloud.deploy", *variables],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        ) as rolling:
            wait_for(claimed, 180)
            rolling.kill()
        wait_for(lambda: not leases.held(Store.open()), 60)
        return drcloud("deploy", "demo", "--env", "prod", "--resume")

    done, seen = under_load(clients, kill_and_resume)
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    assert one_each(on)
    again = drcloud("deploy", "demo", "--env", "prod", "--resume")
    assert again.returncode == 0, said(again)
    assert last().state == "nothing-to-do"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("deploy", "demo", "--env", "prod"), "say which tag of demo to deploy, --current for"),
        (("deploy", "demo", "t1", "--env", "prod", "--resume"), "leave the tag out"),
        (("deploy", "demo", "--env", "prod", "--apply", "none.json"), "cannot read the plan none.json"),
        (("rollback", "dmo", "--env", "prod"), "there is no app 'dmo' in the CMDB: did you mean demo"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    done = drcloud(*arguments)
    assert done.returncode == ExitCode.INVALID_INPUT, said(done)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
