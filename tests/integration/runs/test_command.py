"""`drcloud run` as a process: without a terminal, interrupted, killed, and with secrets around it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .conftest import DEADLINE, Site, eventually, processes_with

PING = {"name": "Ping", "ansible.builtin.ping": {}}
FALSE = {"name": "Break", "ansible.builtin.command": "false"}
CANARY = "canary-0815"
VARIABLE = "no-log-canary-0816"


def sleeping(site: Site, seconds: str) -> str:
    return site.playbook("sleep.yml", {"name": "Sleep", "ansible.builtin.command": f"sleep {seconds}"})


def started(seconds: str) -> list[int]:
    """Return the sleeps that run; two hosts, so two of them."""
    found = [pid for pid in processes_with(f"sleep\0{seconds}") if _name(pid) == "sleep"]
    return found if len(found) == 2 else []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelling_leaves_no_process_behind(site: Site, number: signal.Signals) -> None:
    seconds = f"30{int(number)}.5"
    process = site.command("run", sleeping(site, seconds), "-i", site.hosts, "-l", "one,two")
    eventually(lambda: started(seconds))

    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, "Traceback" in out + err) == (7, False)
    assert "cancelled" in out
    assert [row.state for row in site.runs()] == ["cancelled"]
    eventually(lambda: not processes_with(f"{site.path}/sleep.yml") and not started(seconds))
    assert not list((site.path / "tmp").glob("drcloud-run-*"))


def test_sigint_reaches_a_job_that_a_shell_started_in_the_background(site: Site) -> None:
    seconds = "309.5"
    process = site.command(
        "run", sleeping(site, seconds), "-i", site.hosts, "-l", "one,two",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    eventually(lambda: started(seconds))

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)

    assert process.returncode == 7


def test_a_killed_controller_takes_the_run_along_and_the_next_one_says_lost(site: Site) -> None:
    seconds = "311.5"
    process = site.command(
        "run", sleeping(site, seconds), "-i", site.hosts, "-l", "one,two", variables={"SECRET_CANARY": CANARY}
    )
    eventually(lambda: started(seconds))
    process.kill()
    process.wait()
    (left,) = (site.path / "tmp").glob("drcloud-run-*")
    assert CANARY not in contents(left)

    eventually(lambda: not processes_with(f"{site.path}/sleep.yml") and not started(seconds), 30)
    assert [row.state for row in site.runs()] == ["running"]
    code, _, _ = site.call("run", site.playbook("ok.yml", PING), "-i", site.hosts, "-l", "one")

    assert code == 0
    assert [(row.state, row.exit_code) for row in site.runs()] == [("lost", 9), ("succeeded", 0)]
    assert not left.exists()


def test_jenkins_sees_the_failure_and_no_secret(site: Site) -> None:
    hidden = {"name": "Hide", "ansible.builtin.command": "sh -c 'echo {{ secret }}; exit 1'", "no_log": True}
    (site.path / "vars.json").write_text(json.dumps({"secret": VARIABLE}))
    jenkins = {
        "BUILD_TAG": "jenkins-shop-42",
        "BUILD_URL": "https://jenkins.example/job/shop/42/",
        "JENKINS_URL": "https://jenkins.example/",
        "SECRET_CANARY": CANARY,
    }

    code, out, err = site.call(
        "run", site.playbook("hide.yml", hidden), "-i", site.hosts, "-l", "one", "-e", f"secret={VARIABLE}",
        "-e", "@vars.json", "--junit", "report.xml", "-v", variables=jenkins,
    )  # fmt: skip

    assert code == 1
    assert "one failed: Hide: no details: the task has no_log" in out
    assert "\x1b" not in out
    failure = ET.parse(site.path / "report.xml").find("testcase[@name='one']/failure")
    assert failure is not None
    (row,) = site.runs()
    assert row.actor == "jenkins:jenkins-shop-42"
    (site.path / "vars.json").unlink()
    everything = "\n".join([out, err, contents(site.path)])
    assert CANARY not in everything
    assert VARIABLE not in everything


def contents(directory: Path) -> str:
    """Return all that is on disk below a directory, the CMDB's files included; a pipe has no contents."""
    texts = []
    for place, _, names in os.walk(directory):
        for file in (Path(place, name) for name in names):
            # What SQLite keeps beside its file, or what is just being renamed, may be gone by now.
            with contextlib.suppress(FileNotFoundError):
                if file.is_file():
                    texts.append(file.read_bytes().decode("utf-8", "replace"))
    return "\n".join(texts)


def test_the_environment_is_never_on_disk_while_it_runs(site: Site) -> None:
    secret = "registry-canary-0817"
    process = site.command(
        "run", sleeping(site, "313.5"), "-i", site.hosts, "-l", "one,two", "--pass-env", "SECRET_CANARY",
        variables={"SECRET_CANARY": secret},
    )  # fmt: skip
    eventually(lambda: started("313.5"))

    (private,) = (site.path / "tmp").glob("drcloud-run-*")
    assert private.stat().st_mode & 0o777 == 0o700
    assert secret not in contents(site.path)
    process.terminate()
    process.communicate(timeout=DEADLINE)


def test_json_is_alone_on_standard_output(site: Site) -> None:
    code, out, err = site.call(
        "run", site.playbook("ok.yml", PING), "-i", site.hosts, "-l", "one", "--check", "--json"
    )

    assert code == 0
    document = json.loads(out)
    assert (document["state"], document["exit_code"], list(document["hosts"])) == ("succeeded", 0, ["one"])
    assert "PLAY all" in err


def test_the_reader_may_leave_and_the_run_goes_on(site: Site) -> None:
    slow = {"name": "Wait", "ansible.builtin.command": "sleep 1"}
    write = {"name": "Write", "ansible.builtin.copy": {"content": "x\n", "dest": f"{site.path}/x"}}
    process = site.command("run", site.playbook("w.yml", slow, write, FALSE), "-i", site.hosts, "-l", "one")
    assert process.stdout is not None

    process.stdout.close()
    assert process.wait(timeout=DEADLINE) == 1

    assert (site.path / "x").exists()
    assert [row.state for row in site.runs()] == ["failed"]


def test_pending_changes_have_their_own_code(site: Site) -> None:
    write = {"name": "Write", "ansible.builtin.copy": {"content": "x\n", "dest": f"{site.path}/x"}}
    words = ("run", site.playbook("w.yml", write), "-i", site.hosts, "-l", "one", "--check", "--diff")

    code, out, _ = site.call(*words, "--detailed-exitcode")

    assert code == 12
    assert "+x" in out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nosuch.yml"], 2, "playbook nosuch.yml not found"),
        (["ok.yml", "-i", "nosuch"], 2, "inventory nosuch (-i) does not exist"),
        (["ok.yml", "-i", "hosts.yml", "-l", "nosuch"], 4, "no host matched"),
        (["ok.yml", "-i", "hosts.yml", "-e", "word"], 2, "neither k=v, nor a mapping, nor @FILE"),
        (["ok.yml", "--no-such"], 2, "No such option"),
    ],
)
def test_bad_input_is_one_sentence(site: Site, words: list[str], code: int, sentence: str) -> None:
    site.playbook("ok.yml", PING)

    got, out, err = site.call("run", *words)

    assert got == code
    assert sentence in out + err
    assert "Traceback" not in out + err


def test_without_a_cmdb_it_says_so_or_runs_unrecorded(site: Site) -> None:
    nowhere = {"DRCLOUD_CMDB_URL": f"sqlite:///{site.path}/nowhere.sqlite3"}
    words = ("run", site.playbook("ok.yml", PING), "-i", site.hosts, "-l", "one")

    code, _, err = site.call(*words, variables=nowhere)
    unrecorded, _, _ = site.call(*words, "--no-record", variables=nowhere)

    assert code == 20
    assert "drcloud init" in err
    assert unrecorded == 0


def test_a_missing_controller_dependency_is_one_sentence(site: Site) -> None:
    hook = site.path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ansible_runner' else found(name, *rest)\n"
    )

    code, out, err = site.call(
        "run", site.playbook("ok.yml", PING), "-i", site.hosts, variables={"PYTHONPATH": str(hook)}
    )

    assert code == 1
    assert "ansible-runner is not installed" in err
    assert "Traceback" not in out + err


def test_the_venv_need_not_be_on_the_path(site: Site) -> None:
    code, _, _ = site.call(
        "run",
        site.playbook("ok.yml", PING),
        "-i",
        site.hosts,
        "-l",
        "one",
        variables={"PATH": "/usr/bin:/bin"},
    )

    assert code == 0


def test_nothing_is_lost_with_many_events(site: Site) -> None:
    tasks = [
        PING | {"name": f"Ping {number}", "ansible.builtin.set_fact": {"x": number}} for number in range(40)
    ]
    for task in tasks:
        del task["ansible.builtin.ping"]
    began = time.monotonic()

    code, _, _ = site.call("run", site.playbook("many.yml", *tasks), "-i", site.hosts, "-l", "one,two")

    assert code == 0
    assert sum(one.type == "runner_on_ok" for one in site.events()) == 80
    assert site.runs()[0].summary["events_dropped"] == 0
    assert time.monotonic() - began < 120


def test_processes_are_found_by_their_mark() -> None:
    with subprocess.Popen(["sleep", "60.4711"]) as process:
        # The kernel lets the parent go on a moment before the child's command line can be read.
        eventually(lambda: process.pid in processes_with("sleep\x0060.4711"), 10)
        process.terminate()
