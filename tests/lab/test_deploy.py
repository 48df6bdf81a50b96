"""Deploys on real hosts: what a roll costs its users, and what is left after each kind of trouble."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.lab.rolling import (
    FIRST,
    HOSTS,
    PLAYBOOK,
    RATE,
    SECOND,
    SICK,
    Run,
    answers,
    claimed,
    containers,
    count,
    deploy,
    drcloud,
    host_state,
    last,
    revive,
    running,
    said,
    steps,
    tags,
    under_load,
    wait_for,
)

from drcloud.cmdb import leases
from drcloud.cmdb.store import Store
from drcloud.delivery import status
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("built", "locks_are_free")]
RETIRE = """
- hosts: localhost
  gather_facts: false
  tasks:
    - dianrong.cloud.rollout: {state: begun, app: demo, tag: "{{ tag }}", env: prod, only: [dk-06]}
      register: dr_begun
- hosts: dk-06
  gather_facts: false
  become: true
  tasks:
    - dianrong.cloud.app_prepare:
        rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
      register: dr_prepared
    - dianrong.cloud.app_retire:
        rollout: "{{ hostvars['localhost'].dr_begun.rollout }}"
      register: retired
    - ansible.builtin.assert: {that: "retired.step == 'done'"}
- hosts: localhost
  gather_facts: false
  tasks:
    - dianrong.cloud.rollout:
        state: finished
        rollout: "{{ dr_begun.rollout }}"
"""


def test_a_first_deploy_and_a_second_that_has_nothing_to_do(play: Run, on: Run, clients: list[str]) -> None:
    variables = ("-e", "app=demo", "-e", f"tag={FIRST}", "-e", "env=prod")
    # As it is where there are many: one host of each rack pulls first.
    done = play("dianrong.cloud.deploy", *variables, "-e", "pull_at_once=1")
    assert done.returncode == 0, said(done)
    assert tags() == dict.fromkeys(HOSTS, FIRST)
    assert {answers(url)["version"] for url in clients * 3} == {FIRST}
    before = running(on)
    assert all(len(names) == 1 for names in before.values())
    again = play("dianrong.cloud.deploy", *variables)
    assert again.returncode == 0, said(again)
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout
    assert last().state == "nothing-to-do"
    assert running(on) == before


@pytest.mark.lab_slow
def test_a_release_that_never_gets_healthy_stops_at_the_first_host(
    on: Run, clients: list[str], on_first: None
) -> None:
    before = running(on)
    done, seen = under_load(clients, lambda: deploy(SICK))
    assert done.returncode == ExitCode.FAILED, said(done)
    assert "HTTP 503" in done.stdout
    assert seen.lost == 0, seen.errors
    assert set(seen.by_version) == {FIRST}
    assert running(on) == before
    states = list(steps().values())
    assert sorted(states) == ["reverted", *["skipped"] * 5]
    assert last().state == "reverted"


def test_check_mode_touches_nothing(on: Run, on_first: None) -> None:
    before, deployments = running(on), count()
    done = deploy(SECOND, "--check")
    assert done.returncode == 0, said(done)
    assert (running(on), count()) == (before, deployments)


def test_a_registry_that_is_down_is_told_and_nothing_is_touched(on: Run, on_first: None) -> None:
    before, deployments = running(on), count()
    on("infra-01", "sudo systemctl stop docker-registry")
    try:
        done = deploy(SECOND)
    finally:
        ready = "until : < /dev/tcp/127.0.0.1/5000; do sleep 0.2; done"
        started = on("infra-01", f"sudo systemctl start docker-registry && timeout 30 bash -c '{ready}'")
    assert started.returncode == 0, said(started)
    assert done.returncode == ExitCode.UNREACHABLE, said(done)
    assert "registry main" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (running(on), count()) == (before, deployments)


def test_a_load_balancer_that_is_down_stops_a_roll_before_it_begins(on: Run, on_first: None) -> None:
    before = running(on)
    on("lb-02", "sudo systemctl stop haproxy")
    try:
        done = deploy(SECOND)
    finally:
        on("lb-02", "sudo systemctl start haproxy")
    assert done.returncode not in (0, ExitCode.INTERNAL), said(done)
    assert "load balancer lb-02" in done.stdout
    assert running(on) == before
    assert last().state == "failed"


def test_a_reload_in_the_middle_keeps_what_is_drained(on: Run, on_first: None) -> None:
    socket = "sudo socat - UNIX-CONNECT:/run/haproxy/admin.sock"
    ask = f"echo 'show servers state demo_prod' | {socket}"
    put = f"echo 'set server demo_prod/dk-01_{{slot}} state {{state}}' | {socket}"
    slot = next(
        row.seen.slot for row in status.read(Store.open(), "demo") if row.host == "dk-01" and row.seen
    )
    on("lb-01", put.format(slot=slot, state="drain"))
    try:
        done = on("lb-01", f"sudo systemctl reload haproxy && sleep 1 && {ask}")
        line = next(line for line in done.stdout.splitlines() if f" dk-01_{slot} " in line)
        assert line.split()[6] == "8"
    finally:
        on("lb-01", put.format(slot=slot, state="ready"))


def test_a_slot_is_drained_and_given_back_by_hand(provisioned: Lab, on_first: None) -> None:
    slot = next(
        row.seen.slot for row in status.read(Store.open(), "demo") if row.host == "dk-01" and row.seen
    )

    def member(state: str) -> str:
        ansible = [str(Path(sys.executable).parent / "ansible"), "-i", os.environ["DRCLOUD_INVENTORY"]]
        arguments = f"app=demo env=prod host=dk-01 slot={slot} state={state}"
        done = subprocess.run(
            [*ansible, "localhost", "-m", "dianrong.cloud.lb_member", "-a", arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=provisioned.checkout,
        )
        assert done.returncode == 0, said(done)
        return done.stdout.partition("=>")[0].split()[2]

    assert [member(state) for state in ("drain", "drain", "ready", "ready")] == [
        "CHANGED",
        "SUCCESS",
        "CHANGED",
        "SUCCESS",
    ]


# From here on the tests roll; each begins where the one before it ended, for going back takes half a minute.


def test_a_roll_loses_no_request(on: Run, clients: list[str], on_first: None) -> None:
    began = time.monotonic()
    done, seen = under_load(clients, lambda: deploy(SECOND))
    print(f"roll of {len(HOSTS)} hosts: {time.monotonic() - began:.0f} s")
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert set(seen.by_version) == {FIRST, SECOND}
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    assert [step.batch for step in last().steps] == sorted(step.batch for step in last().steps)
    for host in HOSTS:
        # The old one is kept, stopped, to go back to.
        assert sorted(containers(on, host).values()) == ["exited", "running"]


def test_the_second_of_two_deploys_is_refused(built: None) -> None:
    wanted, other = (FIRST, SECOND) if tags() == dict.fromkeys(HOSTS, SECOND) else (SECOND, FIRST)
    command = [sys.executable, "-m", "drcloud", "deploy", "demo", wanted, "--env", "prod"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as winner:
        wait_for(lambda: bool(leases.held(Store.open())), 60)
        loser = deploy(other)
        out, _ = winner.communicate(timeout=300)
    assert loser.returncode == ExitCode.LOCKED, said(loser)
    assert "app:demo@prod is locked by" in loser.stdout + loser.stderr
    assert winner.returncode == 0, out
    assert tags() == dict.fromkeys(HOSTS, wanted)


@pytest.mark.lab_slow
def test_an_app_is_taken_off_a_host_and_brought_back(
    play: Run, on: Run, clients: list[str], tmp_path: Path, on_first: None
) -> None:
    book = tmp_path / "retire.yml"
    book.write_text(RETIRE, encoding="utf-8")
    done, seen = under_load(clients, lambda: play(str(book), "-e", f"tag={FIRST}"))
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert running(on)["dk-06"] == []
    assert "dk-06" not in tags()
    back = deploy(FIRST, "--limit", "dk-06")
    assert back.returncode == 0, said(back)
    assert tags() == dict.fromkeys(HOSTS, FIRST)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dmo", FIRST, "--env", "prod"), "there is no app 'dmo' in the CMDB: did you mean demo"),
        (("demo", FIRST, "--env", "prd"), "did you mean prod"),
        (("demo", FIRST, "--env", "qa"), "app demo has no placement in qa"),
        (("demo", "t9", "--env", "prod"), "app demo has no tag t9 in registry main"),
        (("demo", "no tag", "--env", "prod"), "'no tag' is not a tag"),
        (("demo", FIRST, "--env", "prod", "--limit", "dk-99"), "there is no host 'dk-99'"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    deployments = count()
    done = drcloud("deploy", *arguments)
    assert done.returncode == ExitCode.INVALID_INPUT, said(done)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert count() == deployments


def test_the_playbook_alone_says_the_same(play: Run) -> None:
    done = play("dianrong.cloud.deploy", "-e", "app=demo", "-e", "tag=t9", "-e", "env=prod")
    assert done.returncode != 0
    assert "app demo has no tag t9 in registry main" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    limited = play(
        "dianrong.cloud.deploy", "-e", "app=demo", "-e", "tag=t9", "-e", "env=prod", "--limit", "dk-01"
    )
    assert limited.returncode != 0
    assert "in place of --limit" in limited.stdout


def test_a_host_that_dies_in_the_middle_stops_the_roll_and_a_later_one_catches_up(
    provisioned: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    command = [sys.executable, "-m", "drcloud", "deploy", "demo", SECOND, "--env", "prod"]
    victim = ""

    def roll_and_kill() -> tuple[int, str]:
        nonlocal victim
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as rolling:
            victim = wait_for(claimed, 180)[0]
            subprocess.run(
                ["docker", "kill", f"{provisioned.name}-{victim}"], check=True, capture_output=True
            )
            out, _ = rolling.communicate(timeout=300)
        return rolling.returncode, out

    try:
        (code, out), seen = under_load(clients, roll_and_kill)
        assert code == ExitCode.UNREACHABLE, out
        states = steps()
        assert states[victim] == "unreachable"
        assert "skipped" in states.values()
        # What a machine had in hand when it was killed may break, and nothing else.
        assert seen.failed <= RATE, seen.errors
        assert host_state(victim) == "quarantined"
        others, seen = under_load(clients, lambda: deploy(SECOND))
        assert others.returncode == 0, said(others)
        assert seen.lost == 0, seen.errors
    finally:
        if victim:
            revive(provisioned, victim)
    # What it started by itself when it came back is not asked: the roll brings it up to date first.
    healed, seen = under_load(clients, lambda: deploy(SECOND, "--limit", victim))
    assert healed.returncode == 0, said(healed)
    assert seen.lost == 0, seen.errors
    assert set(seen.by_version) == {SECOND}
    assert host_state(victim) == "active"
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    assert all(len(names) == 1 for names in running(on).values())


@pytest.mark.lab_slow
def test_a_controller_that_is_killed_leaves_what_the_next_one_continues(
    on: Run, clients: list[str], on_first: None
) -> None:
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
        assert deploy(SECOND).returncode == ExitCode.LOCKED
        wait_for(lambda: not leases.held(Store.open()), 60)
        return deploy(SECOND)

    done, seen = under_load(clients, kill_and_resume)
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert tags() == dict.fromkeys(HOSTS, SECOND)
    assert all(len(names) == 1 for names in running(on).values())
