"""Real ansible-playbook under `drcloud.runs.execute`: every way a run can end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from drcloud.errors import InvalidInputError
from drcloud.exitcodes import ExitCode
from drcloud.runs import Event, RunOutcome, RunRequest, events, execute

from .conftest import Site

PING = {"name": "Ping", "ansible.builtin.ping": {}}
FALSE = {"name": "Break", "ansible.builtin.command": "sh -c 'echo boo >&2; exit 3'"}


def run(site: Site, playbook: str, timeout: float | None = None, **options: Any) -> RunOutcome:
    options.setdefault("inventory", site.hosts)
    return execute(RunRequest(playbook=playbook, **options), site.store, timeout=timeout)


def test_ok_is_recorded_with_its_events(site: Site) -> None:
    seen: list[Event] = []
    request = RunRequest(
        playbook=site.playbook("ok.yml", PING),
        inventory=site.hosts,
        limit="one,two",
        extra_vars={"app": "shop", "password": "s3cret"},
        recorded=["app"],
    )

    outcome = execute(request, site.store, on_event=seen.append)

    assert (outcome.exit_code, outcome.message) == (ExitCode.OK, "done on 2 hosts, 0 changes")
    (row,) = site.runs()
    assert (row.uid, row.state, row.exit_code) == (outcome.uid, "succeeded", 0)
    assert row.request["values"] == {"app": "shop"}
    assert row.ended_at is not None
    stored = site.events()
    assert {(one.type, one.host) for one in stored} >= {(events.OK, "one"), (events.OK, "two")}
    assert stored[-1].type == events.STATS
    assert [one.counter for one in stored] == sorted({one.counter for one in stored})
    assert seen
    assert not list((site.path / "tmp").glob("drcloud-run-*"))


def test_failed_and_unreachable_are_told_apart(site: Site) -> None:
    playbook = site.playbook("fail.yml", FALSE)

    failed = run(site, playbook, limit="one")
    both = run(site, playbook)

    assert failed.exit_code == ExitCode.FAILED
    assert [(one.host, one.task, one.message) for one in failed.failures] == [
        ("one", "Break", "non-zero return code (3): boo")
    ]
    assert both.exit_code == ExitCode.UNREACHABLE
    assert both.message == "failed on one, two; unreachable: dark"
    assert [row.state for row in site.runs()] == ["failed", "failed"]


def test_nothing_matched_by_the_play_or_by_the_limit(site: Site) -> None:
    nobody = run(site, site.playbook("nobody.yml", PING, hosts="nosuchgroup"))
    limited = run(site, site.playbook("ok.yml", PING), limit="nosuchhost")

    assert (nobody.exit_code, limited.exit_code) == (ExitCode.NOTHING_MATCHED, ExitCode.NOTHING_MATCHED)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("- hosts: all\n  tasks: [\n", "YAML"),
        ("- hosts: all\n  tasks:\n    - nosuch.module.here: {}\n", "nosuch.module.here"),
    ],
)
def test_a_playbook_that_cannot_be_read_is_wrong_input(site: Site, content: str, word: str) -> None:
    file = site.path / "broken.yml"
    file.write_text(content)

    outcome = run(site, str(file))

    assert outcome.exit_code == ExitCode.INVALID_INPUT
    assert word in outcome.message
    assert "broken.yml" in outcome.message


def test_names_that_do_not_exist(site: Site) -> None:
    assert run(site, "dianrong.cloud.nosuch").exit_code == ExitCode.INVALID_INPUT
    with pytest.raises(InvalidInputError, match=r"nosuch\.yml"):
        run(site, "nosuch.yml")
    with pytest.raises(InvalidInputError, match="nosuch-inventory"):
        run(site, site.playbook("ok.yml", PING), inventory="nosuch-inventory")
    assert [row.playbook for row in site.runs()] == ["dianrong.cloud.nosuch"]


def test_an_inventory_that_cannot_be_read_is_not_an_empty_one(site: Site) -> None:
    source = site.path / "bad.cmdb.yml"
    source.write_text("plugin: dianrong.cloud.nosuch\n")

    outcome = run(site, site.playbook("ok.yml", PING), inventory=[site.hosts, str(source)])

    assert outcome.exit_code == ExitCode.INVALID_INPUT
    assert "dianrong.cloud.nosuch" in outcome.message


def test_a_run_that_takes_too_long_is_stopped(site: Site) -> None:
    sleep = {"name": "Sleep", "ansible.builtin.command": "sleep 300"}

    outcome = run(site, site.playbook("sleep.yml", sleep), limit="one", timeout=4)

    assert outcome.exit_code == ExitCode.TIMED_OUT
    assert [row.state for row in site.runs()] == ["timed-out"]


def test_rescued_and_ignored_failures_are_no_failures(site: Site) -> None:
    rescue = {"block": [FALSE], "rescue": [PING]}
    ignored = FALSE | {"ignore_errors": True}

    outcome = run(site, site.playbook("rescue.yml", rescue, ignored), limit="one")

    assert outcome.exit_code == ExitCode.OK


def test_a_question_does_not_hang(site: Site) -> None:
    prompt = site.playbook("prompt.yml", PING, vars_prompt=[{"name": "color", "prompt": "Which?"}])

    outcome = run(site, prompt, limit="one")

    assert outcome.exit_code == ExitCode.INVALID_INPUT
    assert "-e color=" in outcome.message
    assert run(site, prompt, limit="one", extra_vars={"color": "red"}).ok


def test_an_action_names_its_exit_code(site: Site) -> None:
    plugins = site.path / "action_plugins"
    plugins.mkdir()
    (plugins / "locked.py").write_text(
        "from ansible.plugins.action import ActionBase\n"
        "class ActionModule(ActionBase):\n"
        "    def run(self, tmp=None, task_vars=None):\n"
        "        return {'failed': True, 'msg': 'held by jenkins', 'dr_exit_code': 5}\n"
    )

    outcome = run(site, site.playbook("locked.yml", {"name": "Lock", "action": "locked"}), limit="one")

    assert outcome.exit_code == ExitCode.LOCKED
    assert outcome.failures[0].message == "held by jenkins"


def test_the_run_knows_its_id_and_its_actor_and_not_our_secrets(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_CANARY", "canary-4711")
    look = {
        "ansible.builtin.copy": {
            "content": "{{ lookup('env', 'DRCLOUD_RUN_ID') }} {{ lookup('env', 'SECRET_CANARY') }}|"
            "{{ lookup('env', 'DRCLOUD_ACTOR') }}",
            "dest": f"{site.path}/seen",
        }
    }

    outcome = run(site, site.playbook("env.yml", look), limit="one")

    identity, _, actor = (site.path / "seen").read_text().partition("|")
    assert identity == f"{outcome.uid} "
    assert actor == site.runs()[0].actor
    again = run(site, site.playbook("env.yml", look), limit="one", pass_env=["SECRET_CANARY"])
    assert (site.path / "seen").read_text().startswith(f"{again.uid} canary-4711|")


def test_it_works_in_a_thread_and_without_a_store(site: Site) -> None:
    ended: list[RunOutcome] = []
    request = RunRequest(playbook=site.playbook("ok.yml", PING), inventory=site.hosts, limit="one")

    thread = threading.Thread(target=lambda: ended.append(execute(request, None)))
    thread.start()
    thread.join()

    assert [one.exit_code for one in ended] == [ExitCode.OK]
    assert site.runs() == []


def test_a_bug_in_the_display_does_not_stop_a_roll(site: Site) -> None:
    write = {"ansible.builtin.copy": {"content": "x\n", "dest": f"{site.path}/x"}}
    request = RunRequest(playbook=site.playbook("w.yml", write), inventory=site.hosts, limit="one")

    def broken(_event: Event) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        execute(request, site.store, on_event=broken)

    assert (site.path / "x").exists()
    assert [row.state for row in site.runs()] == ["succeeded"]
