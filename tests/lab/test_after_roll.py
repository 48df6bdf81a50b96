"""What comes after a roll, on real hosts: history, drift, looks, pruning, and the page of maintenance."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.lab.rolling import FIRST, SECOND, Run, drcloud, said, wait_for

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import status
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab
from drcloud.lab.load import Load, steady

pytestmark = pytest.mark.lab
LBS = ("lb-01", "lb-02")
TAGS = (FIRST, SECOND)
OURS = "--filter label=com.dianrong.cloud.app=demo --filter label=com.dianrong.cloud.env=prod"
APP = ("--app", "demo", "--env", "prod")
# Another one after each reload.
HAPROXY = "echo 'show info' | sudo socat -t5 - UNIX-CONNECT:/run/haproxy/admin.sock | grep '^Pid: '"


def deploy(tag: str) -> None:
    done = drcloud("deploy", "demo", tag, "--env", "prod")
    assert done.returncode == 0, said(done)


def drift(*arguments: str) -> tuple[int, dict[str, str]]:
    """What drifted of the app, by host, and the exit code."""
    done = drcloud("drift", *APP, "--json", *arguments)
    assert done.stdout, said(done)
    return done.returncode, {line["host"]: line["kind"] for line in json.loads(done.stdout)["drift"]}


def page(url: str) -> tuple[int, str | None]:
    """The status of an answer, and after how many seconds one should come again."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["Retry-After"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"]


@pytest.fixture(scope="module")
def hosts(provisioned: Lab) -> tuple[str, ...]:
    placements = snapshot.read(Store.open()).placements
    return next(row.hosts for row in placements if (row.app, row.env) == ("demo", "prod"))


@pytest.fixture
def deployed(built: None, hosts: tuple[str, ...]) -> str:
    """All hosts run one of our releases."""
    rows = status.read(Store.open(), "demo", "prod")
    found = {row.seen.tag if row.seen and row.state == "ok" else "" for row in rows}
    if len(found) != 1 or not found <= set(TAGS):
        deploy(TAGS[0])
        return TAGS[0]
    return found.pop()


@pytest.fixture
def in_service(urls: list[str], deployed: str) -> Iterator[None]:
    """Whatever happens, the app answers again in the end."""
    yield
    drcloud("app", "maintenance", "off", "demo", "--env", "prod")
    wait_for(lambda: not leases.held(Store.open()), 20)
    assert [page(url)[0] for url in urls] == [200, 200]


def maintain(switch: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return drcloud("app", "maintenance", switch, "demo", "--env", "prod", *arguments)


def test_history_drift_and_a_page_for_users(
    on: Run, urls: list[str], hosts: tuple[str, ...], deployed: str, in_service: None
) -> None:
    code, drifted = drift("--observe")
    assert (code, drifted) == (0, {})
    history = json.loads(drcloud("history", "demo", "--env", "prod", "--json").stdout)["deployments"]
    told = drcloud("history", "--deployment", history[0]["uid"][:8])
    assert (told.returncode, any(host in told.stdout for host in hosts)) == (0, True), said(told)

    processes = [on(lb, HAPROXY).stdout for lb in LBS]
    assert all(processes)
    checked = maintain("on", "--check")
    assert checked.returncode == 0, said(checked)
    assert "1 changed" in checked.stdout
    assert [page(url)[0] for url in urls] == [200, 200]
    done = maintain("on", "--reason", "the test says so")
    assert done.returncode == 0, said(done)
    assert [page(url) for url in urls] == [(503, "120"), (503, "120")]
    again = maintain("on")
    assert (again.returncode, "0 changes" in again.stdout) == (0, True), said(again)
    # Nobody reloaded anything, so nobody else noticed.
    assert [on(lb, HAPROXY).stdout for lb in LBS] == processes
    back = maintain("off")
    assert back.returncode == 0, said(back)
    assert [page(url)[0] for url in urls] == [200, 200]


@pytest.mark.lab_slow
def test_maintenance_outlives_a_reload_a_restart_and_a_provision(
    play: Run, on: Run, urls: list[str], in_service: None
) -> None:
    assert maintain("on").returncode == 0
    on("lb-01", "sudo systemctl reload haproxy")
    on("lb-02", "sudo systemctl restart haproxy")
    assert wait_for(lambda: [page(url)[0] for url in urls] == [503, 503], 20)
    # The role writes what the script wrote, to the byte: there is nothing to do, so nothing is reloaded.
    processes = on("lb-02", HAPROXY).stdout
    done = play("dianrong.cloud.provision", "--limit", "lb-01,lb-02", "--diff")
    assert done.returncode == 0, said(done)
    assert "maintenance.map" not in done.stdout
    assert on("lb-02", HAPROXY).stdout == processes
    assert [page(url)[0] for url in urls] == [503, 503]


@pytest.mark.lab_slow
def test_no_request_is_lost_where_an_app_goes_and_comes_back(urls: list[str], in_service: None) -> None:
    load = Load(urls, steady(20.0))
    load.start()
    try:
        time.sleep(1)
        assert maintain("on").returncode == 0
        assert maintain("off").returncode == 0
        time.sleep(1)
    finally:
        seen = load.stop()
    # What is answered with the page is answered: nothing else may have gone wrong.
    assert seen.failed > 0
    assert all("503" in error for error in seen.errors), seen.errors


@pytest.mark.lab_slow
def test_a_load_balancer_that_is_down_keeps_the_other_from_nothing(
    on: Run, urls: list[str], in_service: None
) -> None:
    on("lb-02", "sudo systemctl stop haproxy")
    try:
        done = maintain("on")
        assert done.returncode == ExitCode.UNREACHABLE, said(done)
        assert "load balancer lb-02" in done.stdout
        assert "lb-01 serves the page" in done.stdout
        assert page(urls[0]) == (503, "120")
    finally:
        on("lb-02", "sudo systemctl start haproxy")
    assert maintain("on").returncode == 0
    assert [page(url)[0] for url in urls] == [503, 503]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("app", "maintenance", "on", "dmo", "--env", "prod"), "did you mean demo"),
        (("app", "maintenance", "on", "demo", "--env", "prd"), "did you mean prod"),
        (("history", "dmo"), "did you mean demo"),
        (("history", "--deployment", "zzzz"), "there is no deployment 'zzzz'"),
        (("drift", "--app", "dmo"), "did you mean demo"),
    ],
)
def test_bad_input_is_one_sentence(provisioned: Lab, arguments: tuple[str, ...], words: str) -> None:
    done = drcloud(*arguments)
    assert done.returncode == ExitCode.INVALID_INPUT, said(done)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def running(on: Run, host: str) -> str:
    return on(host, f"sudo docker ps -q {OURS}").stdout.strip()


@pytest.mark.lab_slow
def test_what_somebody_does_by_hand_is_drift(on: Run, hosts: tuple[str, ...], deployed: str) -> None:
    deploy(next(tag for tag in TAGS if tag != deployed))
    victim = hosts[0]
    container = running(on, victim)
    labels = "{{range $k, $v := .Config.Labels}}--label {{$k}}={{$v}} {{end}}"
    other = on(victim, f"sudo docker ps -aq --filter status=exited {OURS} | head -1").stdout.strip()
    try:
        on(victim, f"sudo docker stop {container}")
        assert drift("--observe", "--limit", victim) == (ExitCode.DRIFT, {victim: "stopped"})
        # The right labels on a container of another image, which somebody named himself.
        image = on(victim, f"sudo docker inspect --format '{{{{.Image}}}}' {other}").stdout.strip()
        marks = on(victim, f"sudo docker inspect --format '{labels}' {container}").stdout.strip()
        assert "com.dianrong.cloud.revision" in marks
        on(victim, f"sudo docker tag {image} byhand:1")
        made = on(victim, f"sudo docker run -d --name byhand {marks} byhand:1")
        assert made.returncode == 0, said(made)
        assert drift("--observe", "--limit", victim) == (ExitCode.DRIFT, {victim: "image"})
    finally:
        on(victim, "sudo docker rm -f byhand; sudo docker rmi byhand:1")
        on(victim, f"sudo docker start {container}")
    assert wait_for(lambda: drift("--observe", "--limit", victim) == (0, {}), 60)


def meanings(victim: str) -> dict[str, tuple[str, str]]:
    """What a look at a host says of it, by app or container: the kind of drift, and what that is."""
    done = drcloud("drift", "--observe", "--limit", victim, "--json")
    assert done.stdout, said(done)
    lines = json.loads(done.stdout)["drift"]
    found = [line for line in lines if line["host"] == victim and line["env"] in ("prod", "")]
    return {line["container"] or line["app"]: (line["kind"], line["meaning"]) for line in found}


@pytest.mark.lab_slow
def test_what_somebody_changes_or_starts_on_a_host_is_told_by_kind(
    on: Run, hosts: tuple[str, ...], deployed: str
) -> None:
    # The instances are from a roll, so there are records of them.
    deploy(next(tag for tag in TAGS if tag != deployed))
    victim = hosts[0]
    container = running(on, victim)
    image = on(victim, f"sudo docker inspect --format '{{{{.Config.Image}}}}' {container}").stdout.strip()
    labels = "{{range $k, $v := .Config.Labels}}--label {{$k}}={{$v}} {{end}}"
    marks = on(victim, f"sudo docker inspect --format '{labels}' {container}").stdout.strip()
    assert meanings(victim) == {}
    try:
        on(victim, f"sudo docker update --restart no {container}")
        changed = ("spec", "the right image runs with other settings; changed by hand: restart")
        assert meanings(victim) == {"demo": changed}
        mended = drcloud("deploy", "demo", "--current", "--env", "prod")
        assert mended.returncode == 0, said(mended)
        assert "rolled to 1 of 6 hosts" in mended.stdout
        assert meanings(victim) == {}
        container = running(on, victim)
        made = on(victim, f"sudo docker run -d --name stranger {image}")
        assert made.returncode == 0, said(made)
        assert meanings(victim) == {"stranger": ("unknown", "no roll made it")}
        on(victim, "sudo docker rm -f stranger")
        # The right labels and the right image; its health check fails, for no port of it is open.
        made = on(victim, f"sudo docker stop {container} && sudo docker run -d --name byhand {marks} {image}")
        assert made.returncode == 0, said(made)
        kind, meaning = meanings(victim)["demo"]
        assert kind in ("unhealthy", "unknown")
        assert "no roll made it" in meaning
    finally:
        on(victim, "sudo docker rm -f byhand stranger")
        on(victim, f"sudo docker update --restart unless-stopped {container}")
        on(victim, f"sudo docker start {container}")
    assert wait_for(lambda: meanings(victim) == {}, 60)


@pytest.mark.lab_slow
def test_a_host_that_does_not_answer_keeps_nobody_from_being_seen(
    provisioned: Lab, hosts: tuple[str, ...], deployed: str
) -> None:
    victim = hosts[-1]
    before = {row.host: row.observed_at for row in status.read(Store.open(), "demo", "prod")}
    subprocess.run(["docker", "kill", f"{provisioned.name}-{victim}"], check=True, capture_output=True)
    try:
        done = drcloud("run", "dianrong.cloud.observe")
        assert done.returncode == ExitCode.UNREACHABLE, said(done)
    finally:
        subprocess.run(["docker", "start", f"{provisioned.name}-{victim}"], check=True, capture_output=True)
        up = drcloud("lab", "up")
        assert up.returncode == 0, said(up)
    after = {row.host: row.observed_at for row in status.read(Store.open(), "demo", "prod")}
    assert [host for host in hosts if after[host] == before[host]] == [victim]
    assert wait_for(lambda: drift("--observe") == (0, {}), 90)


@pytest.mark.lab_slow
def test_prune_keeps_what_the_ledger_names_and_what_is_not_ours(
    on: Run, urls: list[str], hosts: tuple[str, ...], built: None, provisioned: Lab
) -> None:
    source = str(provisioned.checkout / "apps/demo")
    made = drcloud("build", "demo", "--tag", "t6-third", "--source", source)
    assert made.returncode == 0, said(made)
    for tag in (*TAGS, "t6-third"):
        deploy(tag)
    host = hosts[0]
    names = "sudo docker images --digests --no-trunc --format '{{.Repository}}@{{.Digest}}'"
    found = json.loads(drcloud("history", "demo", "--env", "prod", "--json").stdout)["deployments"]
    third, second, first = (one["digest"] for one in found[:3])
    assert len({first, second, third}) == 3
    before = running(on, host)
    image = on(host, f"sudo docker inspect --format '{{{{.Config.Image}}}}' {before}").stdout.strip()
    try:
        made = on(host, f"sudo docker create --name stranger {image}")
        assert made.returncode == 0, said(made)
        had = on(host, names).stdout
        checked = drcloud("run", "dianrong.cloud.prune", "--check", "--diff")
        assert checked.returncode == 0, said(checked)
        assert on(host, names).stdout == had
        load = Load(urls, steady(20.0))
        load.start()
        try:
            done = drcloud("run", "dianrong.cloud.prune")
        finally:
            seen = load.stop()
        assert done.returncode == 0, said(done)
        assert seen.failed == 0, seen.errors
        left = on(host, names).stdout
        assert first in had
        assert [digest in left for digest in (first, second, third)] == [False, True, True]
        assert running(on, host) == before
        assert on(host, "sudo docker inspect stranger").returncode == 0
        again = drcloud("run", "dianrong.cloud.prune")
        assert (again.returncode, "0 changes" in again.stdout) == (0, True), said(again)
    finally:
        on(host, "sudo docker rm -f stranger")
    assert drift("--observe") == (0, {})


@pytest.mark.lab_slow
def test_a_host_with_a_roll_on_it_is_not_pruned(hosts: tuple[str, ...], deployed: str) -> None:
    store, host = Store.open(), hosts[0]
    leases.acquire(
        store,
        [(f"host:{host}", False)],
        holder="test-roll",
        purpose="deploy demo",
        ttl=timedelta(minutes=5),
    )
    try:
        done = drcloud("run", "dianrong.cloud.prune", "--limit", f"{host},{hosts[1]}")
    finally:
        leases.release(store, "test-roll")
    assert done.returncode == ExitCode.LOCKED, said(done)
    assert f"host:{host} is locked by test-roll for deploy demo" in done.stdout
    assert f"{hosts[1]} failed" not in done.stdout
