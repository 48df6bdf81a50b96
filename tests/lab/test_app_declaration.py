"""An app from its file on real hosts: configuration, secrets, and what a specification asks of a host.

The app is one of its own, in qa and behind no load balancer, so that the demo app in prod is left alone.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab.rolling import PLAYBOOK, Run, drcloud, expired, kill, revive, said, wait_for

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab

pytestmark = pytest.mark.lab
APP, ENV, TAG = "declared", "qa", "d1"
HOSTS = ("dk-05", "dk-06")
WITH_DISKS = "dk-03"
PASSWORD, ROTATED, TOKEN = "first-pass-phrase", "second-pass-phrase", "token-of-the-app"
DIRECTORY = "/var/lib/drcloud/secrets"
HEALTH = {"interval": 0.5, "timeout": 2, "retries": 3, "start_period": 20, "min_healthy": 1}


def good(*arguments: str) -> str:
    done = drcloud(*arguments)
    assert done.returncode == 0, said(done)
    return done.stdout


# Programs for inside of an instance, and what a read-only file system says.
READ = "print(open('/run/secrets/PASSWORD').read())"
GREETING = "print(os.environ['GREETING'])"
READ_ONLY = "Read-only file system"


class Declared:
    """The app's file, and what of it stands on the hosts."""

    def __init__(self, folder: Path, on: Run) -> None:
        self.password, self.path, self.on = folder / "password", folder / "declared.yml", on
        self.password.write_text(PASSWORD, encoding="utf-8")

    def apply(self, hosts: tuple[str, ...] = HOSTS, **fields: Any) -> None:
        spec: dict[str, Any] = {
            **{"image": f"dianrong/{APP}", "port": 8080, "user": "10001", "health": HEALTH},
            "resources": {"memory": "128m", "pids": 64, "ulimits": {"nofile": {"soft": 512, "hard": 1024}}},
            "secrets": {
                "PASSWORD": {"source": f"file:{self.password}"},
                "TOKEN": {"source": "env:DECLARED_TOKEN", "expose": "env"},
            },
            "env": {"GREETING": "of the specification"},
            "labels": {"com.example.team": "qa"},
            **fields,
        }
        placed = [{"env": ENV, "hosts": list(hosts), "min_in_service": 0}]
        self.path.write_text(
            yaml.safe_dump({"name": APP, "spec": spec, "placements": placed}), encoding="utf-8"
        )
        good("app", "apply", str(self.path), "--reason", "a test")

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return drcloud("deploy", APP, TAG, "--env", ENV, *arguments)

    def container(self, host: str) -> str:
        """Return the name of the one instance that runs on a host."""
        found = self.on(
            host, f"sudo docker ps --filter label=com.dianrong.cloud.app={APP} --format '{{{{.Names}}}}'"
        )
        [name] = found.stdout.split()
        return name

    def inside(self, host: str, program: str) -> str:
        """Run Python in the instance, which has nothing else, and return what it printed."""
        program = f"import os, resource, stat; {program}"
        command = f"/usr/bin/python3 -c {shlex.quote(program)}"
        done = self.on(host, f"sudo docker exec {self.container(host)} {command} 2>&1")
        return done.stdout.strip()

    def kept(self, host: str) -> list[str]:
        """Return the containers whose secrets a host has."""
        return sorted(self.on(host, f"sudo ls {DIRECTORY} 2> /dev/null | grep ^{APP}_").stdout.split())


def clean(play_host: str, lab: Lab) -> None:
    """Take every instance of the app off a host."""
    program = str(Path(sys.executable).parent / "ansible")
    for slot in ("a", "b"):
        words = f"app={APP} env={ENV} slot={slot} state=absent"
        subprocess.run(
            [
                *(program, "-i", os.environ["DRCLOUD_INVENTORY"], play_host, "-b"),
                *("-m", "dianrong.cloud.app_container", "-a", words),
            ],
            check=True,
            capture_output=True,
            cwd=lab.checkout,
        )


@pytest.fixture(scope="module")
def app(provisioned: Lab, on: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Declared]:
    """The app, declared and built; nothing of it is left on the hosts or placed in the end."""
    found = Declared(tmp_path_factory.mktemp("declared"), on)
    os.environ["DECLARED_TOKEN"] = TOKEN
    try:
        found.apply()
        # There is some where an earlier run was killed.
        drcloud("app", "config", "set", APP, "--env", ENV, "--unset", "GREETING")
        good("build", APP, "--tag", TAG, "--source", str(provisioned.checkout / "apps/demo"))
        yield found
    finally:
        os.environ.pop("DECLARED_TOKEN")
        for host in (*HOSTS, WITH_DISKS):
            clean(host, provisioned)
        drcloud("cmdb", "delete", "placement", f"{APP}@{ENV}", "--yes", "--reason", "the test is over")
    for host in HOSTS:
        assert found.kept(host) == []


def planned(done: subprocess.CompletedProcess[str]) -> set[tuple[str, ...]]:
    """Return what the plan changes on hosts."""
    return {tuple(step["changes"]) for step in json.loads(done.stdout)["plan"]["steps"]}


@pytest.mark.lab_slow
def test_configuration_and_secrets_reach_the_app_and_nothing_else(app: Declared, on: Run) -> None:
    done = app.deploy()
    assert done.returncode == 0, said(done)
    for host in HOSTS:
        name = app.container(host)
        assert app.inside(host, READ) == PASSWORD
        assert app.inside(host, "print(os.environ['TOKEN'])") == TOKEN
        assert app.inside(host, GREETING) == "of the specification"
        assert READ_ONLY in app.inside(host, "open('/run/secrets/PASSWORD', 'w')")
        assert app.inside(host, "print(resource.getrlimit(resource.RLIMIT_NOFILE))") == "(512, 1024)"
        inspected = on(host, f"sudo docker inspect {name}").stdout
        assert PASSWORD not in inspected
        assert '"com.example.team": "qa"' in inspected
        assert app.kept(host) == [name]
        assert on(host, f"sudo stat -c %a:%U {DIRECTORY}").stdout.strip() == "700:root"
        assert on(host, f"cat {DIRECTORY}/{name}/PASSWORD").returncode != 0
    # A changed configuration rolls the same tag, and says why; a second time there is nothing to do.
    good("app", "config", "set", APP, "--env", ENV, "GREETING=of the configuration")
    changed = app.deploy("--json")
    assert changed.returncode == 0, said(changed)
    assert planned(changed) == {("configuration none -> 1", "env.GREETING changed")}
    assert app.inside(HOSTS[0], GREETING) == "of the configuration"
    again = app.deploy("--json")
    assert json.loads(again.stdout)["deployment"]["state"] == "nothing-to-do", said(again)
    # So does a changed secret, and what was told of the old one goes with what ran with it.
    app.password.write_text(ROTATED, encoding="utf-8")
    rotated = app.deploy("--json")
    assert rotated.returncode == 0, said(rotated)
    assert planned(rotated) == {("a secret changed",)}
    assert app.inside(HOSTS[0], READ) == ROTATED
    for told in (done, changed, again, rotated):
        assert not {PASSWORD, ROTATED, TOKEN} & {*(told.stdout + told.stderr).split()}
        assert PASSWORD not in told.stdout + told.stderr
    exported = good("cmdb", "export")
    assert not [secret for secret in (PASSWORD, ROTATED, TOKEN) if secret in exported]


@pytest.mark.lab_slow
def test_a_secret_that_does_not_resolve_touches_nothing(app: Declared) -> None:
    before = {host: app.container(host) for host in HOSTS}
    hidden = app.password.rename(app.password.with_name("hidden"))
    try:
        done = app.deploy()
    finally:
        hidden.rename(app.password)
    assert done.returncode == ExitCode.INVALID_INPUT, said(done)
    assert f"app {APP} in {ENV}: secret PASSWORD does not resolve: secret file:" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {host: app.container(host) for host in HOSTS} == before


@pytest.mark.lab_slow
@pytest.mark.parametrize(
    "health",
    [
        {"kind": "tcp"},
        {"kind": "exec", "command": ["/usr/bin/python3", "-c", "open('/run/secrets/PASSWORD')"]},
    ],
    ids=["tcp", "exec"],
)
def test_health_of_every_kind(app: Declared, health: dict[str, Any]) -> None:
    app.apply(health={**HEALTH, **health})
    done = app.deploy()
    assert done.returncode == 0, said(done)
    assert all(app.container(host) for host in HOSTS)


@pytest.mark.lab_slow
def test_a_command_that_fails_or_hangs_stops_the_roll_without_telling_a_secret(
    app: Declared, on: Run
) -> None:
    before = {host: app.container(host) for host in HOSTS}
    try:
        for script, words in (
            (f"{READ}; raise SystemExit(3)", "ended with exit code 3: ********"),
            ("import time; time.sleep(4711)", "did not end within 2 s"),
        ):
            command = {"kind": "exec", "command": ["/usr/bin/python3", "-c", script]}
            app.apply(health={**HEALTH, **command, "start_period": 3})
            done = app.deploy()
            assert done.returncode == ExitCode.FAILED, said(done)
            assert words in done.stdout, said(done)
            assert app.password.read_text("utf-8") not in done.stdout + done.stderr
            assert {host: app.container(host) for host in HOSTS} == before
            for host in HOSTS:
                assert on(host, "pgrep -f 'time.sleep.471[1]'").stdout == ""
                # Those of what runs and of what is kept to go back to; not of the one that failed.
                assert set(app.kept(host)) <= set(all_containers(on, host))
    finally:
        app.apply()


def all_containers(on: Run, host: str) -> list[str]:
    command = f"sudo docker ps --all --filter label=com.dianrong.cloud.app={APP} --format '{{{{.Names}}}}'"
    return on(host, command).stdout.split()


@pytest.mark.lab_slow
def test_secrets_outlive_a_restart_of_the_host(app: Declared, provisioned: Lab, on: Run) -> None:
    app.apply()
    done = app.deploy()
    assert done.returncode == 0, said(done)
    host = HOSTS[0]
    name = app.container(host)
    subprocess.run(["docker", "stop", f"{provisioned.name}-{host}"], check=True, capture_output=True)
    revive(provisioned, host)
    end = time.monotonic() + 60
    while on(host, f"sudo docker exec {name} /usr/bin/python3 -c 1").returncode and time.monotonic() < end:
        time.sleep(0.5)
    assert app.container(host) == name
    assert app.inside(host, READ) == app.password.read_text("utf-8")


@pytest.fixture
def disks(provisioned: Lab, play: Run, on: Run) -> None:
    """The volume and the raw device of a host, free for any app of the lab while the test runs."""
    if on(WITH_DISKS, "mountpoint -q /srv/demo").returncode:
        done = play("playbooks/provision.yml", "--limit", WITH_DISKS)
        assert done.returncode == 0, said(done)


@pytest.mark.lab_slow
def test_a_volume_and_a_device_of_the_host(app: Declared, disks: None, on: Run) -> None:
    fields = {
        "volumes": [{"source": "/srv/demo", "target": "/data", "read_only": True}],
        "devices": [{"source": "/dev/drc-raw", "target": "/dev/data", "access": "r"}],
    }
    # They are the demo app's.
    app.apply((WITH_DISKS,), **fields)
    refused = app.deploy()
    assert refused.returncode == ExitCode.INVALID_INPUT, said(refused)
    assert (
        f"host {WITH_DISKS} has an app-volume mounted at /srv/demo for demo, not for {APP}" in refused.stderr
    )
    owned = [f"block_device {WITH_DISKS}:/dev/{name}" for name in ("drc-volume", "drc-raw")]
    try:
        for name in owned:
            good("cmdb", "set", *name.split(), "app=", "--reason", "lent to a test")
        done = app.deploy()
        assert done.returncode == 0, said(done)
        assert app.inside(WITH_DISKS, "print(os.path.ismount('/data'))") == "True"
        assert READ_ONLY in app.inside(WITH_DISKS, "open('/data/x', 'w')")
        assert app.inside(WITH_DISKS, "print(stat.S_ISBLK(os.stat('/dev/data').st_mode))") == "True"
        app.apply(HOSTS, **fields)
        missing = app.deploy()
        assert missing.returncode == ExitCode.INVALID_INPUT, said(missing)
        assert f"host {HOSTS[0]} has no app-volume mounted at /srv/demo" in missing.stderr
    finally:
        for name in owned:
            good("cmdb", "set", *name.split(), "app=demo", "--reason", "given back")
        app.apply()
    seen = snapshot.read(Store.open())
    [host] = [row for row in seen.hosts if row.name == WITH_DISKS]
    assert [disk["app"] for disk in host.block_devices if disk["purpose"] in ("raw", "app-volume")] == [
        "demo",
        "demo",
    ]


def hook(when: str, per: str, program: str, timeout: float = 60) -> dict[str, Any]:
    return {"when": when, "per": per, "command": ["/usr/bin/python3", "-c", program], "timeout": timeout}


def variables() -> list[str]:
    given = {"app": APP, "env": ENV, "tag": TAG}
    return [word for name, value in given.items() for word in ("-e", f"{name}={value}")]


def heard(app: Declared, word: str) -> dict[str, list[str]]:
    """What hooks wrote on each host, as its journal has it; the journal's own look is no hook."""
    ask = f"sudo journalctl --quiet --output cat --unit docker --grep '^{word} '"
    return {host: app.on(host, ask).stdout.splitlines() for host in HOSTS}


@pytest.mark.lab_slow
def test_hooks_run_once_or_on_each_host_with_the_secrets_of_the_app(app: Declared) -> None:
    word = f"hook{time.time_ns()}"
    tell = f"print({word!r}, {{!r}}, len(os.environ['TOKEN']), open('/run/secrets/PASSWORD').read() != '')"
    moments = [(when, per) for when in ("before", "after") for per in ("roll", "host")]
    hooks = [hook(when, per, "import os; " + tell.format(f"{when}-{per}")) for when, per in moments]
    app.apply(hooks=hooks, env={"GREETING": word})
    done = app.deploy()
    assert done.returncode == 0, said(done)
    lines = heard(app, word)
    of_first = [f"{word} {when}-{per} {len(TOKEN)} True" for when, per in moments]
    assert sorted(lines[HOSTS[0]]) == sorted(of_first)
    assert lines[HOSTS[1]] == [line for line in of_first if "-host" in line]
    # A hook that is another one rolls nothing.
    app.apply(hooks=[hook("before", "host", "raise SystemExit(3)")], env={"GREETING": word})
    again = app.deploy()
    assert again.returncode == 0, said(again)
    assert "nothing to do" in again.stdout


@pytest.mark.lab_slow
def test_a_hook_whose_controller_was_killed_is_run_again(app: Declared) -> None:
    """The first controller dies while what follows the first host is still at it."""
    word, once = f"hook{time.time_ns()}", f"once{time.time_ns()}"
    after = f"import time; print({word!r}, 'began', flush=True); time.sleep(8); print({word!r}, 'ended')"
    app.apply(
        hooks=[hook("after", "host", after), hook("after", "roll", f"print({once!r}, 'ended')")],
        env={"GREETING": word},
    )
    with subprocess.Popen(
        [PLAYBOOK, "-i", os.environ["DRCLOUD_INVENTORY"], "dianrong.cloud.deploy", *variables()],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as rolling:
        try:
            wait_for(lambda: heard(app, word)[HOSTS[0]], 120)
        finally:
            kill(rolling)
    holders = {held.holder for held in leases.held(Store.open())}
    wait_for(lambda: expired(holders), 20)
    done = drcloud("deploy", APP, "--env", ENV, "--resume")
    assert done.returncode == 0, said(done)
    lines = heard(app, word)
    assert lines[HOSTS[0]].count(f"{word} began") == 2
    assert all(f"{word} ended" in found for found in lines.values()), lines
    assert sum(len(found) for found in heard(app, once).values()) == 1
    settled = app.deploy()
    assert settled.returncode == 0, said(settled)
    assert "nothing to do" in settled.stdout


@pytest.mark.lab_slow
@pytest.mark.parametrize(
    ("when", "program", "words"),
    [
        ("before", "import time; time.sleep(600)", "the hook /usr/bin/python3 did not end within 2 s"),
        (
            "after",
            "print('no table'); raise SystemExit(3)",
            "the hook /usr/bin/python3 ended with exit code 3",
        ),
    ],
)
def test_a_hook_that_fails_or_hangs_takes_the_roll_back(
    app: Declared, when: str, program: str, words: str
) -> None:
    app.apply(env={"GREETING": "before the hook"})
    good_one = app.deploy()
    assert good_one.returncode == 0, said(good_one)
    app.apply(hooks=[hook(when, "roll", program, 2)], env={"GREETING": "never stays"})
    done = app.deploy()
    assert done.returncode == ExitCode.FAILED, said(done)
    assert words in done.stdout
    for host in HOSTS:
        assert app.inside(host, GREETING) == "before the hook"
        left = app.on(host, "sudo docker ps --all --quiet --filter label=com.dianrong.cloud.hook").stdout
        assert left == ""
    app.apply()
