"""A host that somebody else set up, read and declared, and what runs there taken over by a deploy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lab.rolling import (
    FIRST,
    LATE,
    LBS,
    SECOND,
    SICK,
    Run,
    answers,
    deploy,
    drcloud,
    host_state,
    said,
    under_load,
)

from drcloud.cmdb import snapshot
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("built", "locks_are_free")]
HOST, NAME, APP, ENV, PORT, LB_PORT = "dk-05", "dk-09", "legacy", "qa", 8099, 8090
NETWORK = "legacy0"
SECRET = "a-password-from-before"
HEALTH = {"interval": 0.5, "timeout": 2, "retries": 3, "start_period": 20, "min_healthy": 1}
SPEC = {"image": "dianrong/demo", "port": 8080, "user": "10001", "health": HEALTH}


def good(*arguments: str) -> str:
    done = drcloud(*arguments)
    assert done.returncode == 0, said(done)
    print("$ drcloud", *arguments)
    print(done.stdout)
    return done.stdout


@pytest.fixture
def legacy(on: Run, on_first: None) -> Iterator[None]:
    """A container and a network as somebody made them by hand."""
    mine = "$(sudo docker ps --quiet --filter label=com.dianrong.cloud.app=demo)"
    [image] = on(HOST, f"sudo docker inspect --format '{{{{.Config.Image}}}}' {mine}").stdout.split()
    ours = f"$(sudo docker ps --all --quiet --filter label=com.dianrong.cloud.app={APP})"
    clean = f"sudo docker rm --force {APP} {ours}; sudo docker network rm {NETWORK}"
    on(HOST, clean)
    made = on(
        HOST,
        f"sudo docker network create -o com.docker.network.bridge.name={NETWORK} {NETWORK} && "
        f"sudo docker run --detach --name {APP} --restart always --network {NETWORK} --publish {PORT}:8080 "
        f"--env PASSWORD={SECRET} --label note={SECRET} {image}",
    )
    assert made.returncode == 0, made.stderr
    yield
    on(HOST, clean)


def container(on: Run) -> dict[str, Any]:
    """The container as the engine has it."""
    done = on(HOST, f"sudo docker inspect {APP}")
    [found] = json.loads(done.stdout)
    return dict(found)


def test_a_host_is_read_as_it_is_and_no_secret_is_told(lab: Lab, legacy: None) -> None:
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible"), "-i", os.environ["DRCLOUD_INVENTORY"], HOST),
            *("--become", "--module-name", "dianrong.cloud.host_survey"),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=lab.checkout,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    assert SECRET not in done.stdout
    survey = json.loads(done.stdout.partition("=>")[2])["survey"]
    mine = {one["name"]: one for one in survey["containers"]}
    assert {name for name, one in mine.items() if not one["ours"]} == {APP}
    assert mine[APP]["env"] == ["PASSWORD"]
    assert [(one["host"], one["container"]) for one in mine[APP]["ports"]] == [(PORT, 8080)]
    networks = {one["name"]: one for one in survey["networks"]}
    assert (networks[NETWORK]["bridge"], networks[NETWORK]["containers"]) == (NETWORK, [APP])
    assert [one["path"] for one in survey["disks"]] == ["/dev/drc-spare"]
    assert survey["engine"]["data_root"] == "/var/lib/docker"
    refused = drcloud("host", "adopt", HOST)
    assert refused.returncode == ExitCode.INVALID_INPUT, said(refused)
    assert f"host {HOST} is active" in refused.stderr


@pytest.fixture
def undeclared(lab: Lab, legacy: None, tmp_path: Path) -> Iterator[None]:
    """The machine is a new host to the CMDB, and afterwards what it was."""
    kept = tmp_path / "cmdb.backup"
    good("cmdb", "backup", str(kept))
    try:
        row = next(row for row in snapshot.read(Store.open()).hosts if row.name == HOST)
        good("host", "decommission", HOST, "--yes", "--reason", "a test")
        ssh = {"user": row.ssh_user, "via": row.ssh_via}
        new = {"name": NAME, "role": "docker", "rack": row.rack, "address": row.address, "ssh": ssh}
        (tmp_path / "new.yml").write_text(yaml.safe_dump({"drcloud": 1, "hosts": [new]}), encoding="utf-8")
        good("cmdb", "import", str(tmp_path / "new.yml"))
        yield
    finally:
        good("cmdb", "restore", str(kept), "--replace", "--yes")
        good("host", "provision", HOST, *LBS)
        healed = deploy(FIRST)
        assert healed.returncode == 0, said(healed)


def declare_app(folder: Path) -> None:
    placed = [{"env": ENV, "hosts": [NAME], "min_in_service": 0, "lbs": list(LBS), "lb_port": LB_PORT}]
    document = {"name": APP, "spec": SPEC, "placements": placed}
    (folder / "legacy.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    good("app", "apply", str(folder / "legacy.yml"), "--reason", "a test")


@pytest.mark.lab_slow
def test_a_host_is_adopted_and_its_container_rolled_into_management(
    on: Run, urls: list[str], undeclared: None, tmp_path: Path
) -> None:
    before = container(on)["State"]["StartedAt"]
    assert host_state(NAME) == "planned"
    said_so = good("host", "adopt", NAME, "--reason", "moves in")
    assert f"{NAME}: container {APP}: running, " in said_so
    assert f"publishes {PORT}->8080/tcp" in said_so
    assert f"What `drcloud host provision {NAME}` would change:" in said_so
    host = next(row for row in snapshot.read(Store.open()).hosts if row.name == NAME)
    assert host.state == "planned"
    assert [(one["name"], one["mode"]) for one in host.bridges] == [(NETWORK, "nat")]
    assert container(on)["State"]["StartedAt"] == before
    again = json.loads(good("host", "adopt", NAME, "--no-preview", "--json"))
    assert again["hosts"][NAME].get("changed", 0) == 0

    declare_app(tmp_path)
    good("app", "takeover", APP, f"{NAME}={APP}", "--env", ENV)
    good("host", "provision", NAME, *LBS)
    assert (container(on)["State"]["StartedAt"], host_state(NAME)) == (before, "active")
    there = [url.replace(":8080/", f":{LB_PORT}/") for url in urls]
    assert {answers(url)["version"] for url in there} == {FIRST}

    def rolled(tag: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = drcloud("deploy", APP, tag, "--env", ENV, *arguments)
        print(done.stdout)
        return done

    sick, seen = under_load(there, lambda: rolled(SICK))
    assert sick.returncode == ExitCode.FAILED, said(sick)
    assert (seen.lost, set(seen.by_version)) == (0, {FIRST}), seen.errors
    late = rolled(LATE, "--canary-watch", "40")
    assert late.returncode == ExitCode.FAILED, said(late)
    assert container(on)["State"]["Running"]
    assert {answers(url)["version"] for url in there} == {FIRST}

    done, seen = under_load(there, lambda: rolled(SECOND))
    assert done.returncode == 0, said(done)
    assert (seen.lost, set(seen.by_version)) == (0, {FIRST, SECOND}), seen.errors
    left = container(on)
    assert left["State"]["Status"] == "exited"
    assert left["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    again, seen = under_load(there, lambda: rolled(FIRST))
    assert again.returncode == 0, said(again)
    assert seen.lost == 0, seen.errors
    assert container(on)["State"]["Status"] == "exited"
