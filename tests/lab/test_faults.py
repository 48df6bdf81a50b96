"""A roll while something breaks: the engine, a host, the registry, a disk, a load balancer.

After each: what the clients saw, the least that was in service, one digest or all as before, no lock held.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.lab.rolling import (
    ASK,
    FIRST,
    HOSTS,
    LBS,
    POOL,
    RATE,
    SECOND,
    Run,
    answers,
    claimed,
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

from drcloud.cmdb import leases, snapshot
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, status
from drcloud.exitcodes import ExitCode
from drcloud.lab.identity import Lab
from drcloud.lab.load import Load, sockets, steady

pytestmark = [pytest.mark.lab, pytest.mark.lab_slow, pytest.mark.usefixtures("built", "locks_are_free")]
LARGE, MOVING = "t6-large", "t7-moves"
# Seconds within which the other load balancer holds the VIP.
MOVES = 5
ALL_FIRST, ALL_SECOND = dict.fromkeys(HOSTS, FIRST), dict.fromkeys(HOSTS, SECOND)
Ended = tuple[int, str]


def roll_and(act: Callable[[str], object], *options: str, tag: str = SECOND) -> Ended:
    """Roll a release, and do something to the first host of the second batch as it is switched."""
    with rolling_of(tag, *options) as rolling:
        try:
            act(wait_for(claimed, 180)[0])
        finally:
            out, _ = rolling.communicate(timeout=400)
    return rolling.returncode, out


def rolling_of(tag: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "drcloud", "deploy", "demo", tag, "--env", "prod", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def one_each(on: Run) -> bool:
    return all(len(names) == 1 for names in running(on).values())


def test_an_engine_that_is_killed_in_mid_switch_loses_no_request(
    lab: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    """Live-restore keeps its containers, and systemd starts it again; the host is switched or as before."""

    def kill(host: str) -> None:
        done = on(host, "sudo systemctl kill --signal KILL docker")
        assert done.returncode == 0, said(done)

    (code, out), seen = under_load(clients, lambda: roll_and(kill))
    assert seen.lost == 0, seen.errors
    if code == 0:
        assert tags() == ALL_SECOND
    else:
        assert code == ExitCode.FAILED, out
        assert "Traceback" not in out
        again = deploy(SECOND)
        if "is held by the engine for no container" in said(again):
            for host in HOSTS:
                on(host, "sudo systemctl restart docker")
            again = deploy(SECOND)
        assert again.returncode == 0, said(again)
        assert tags() == ALL_SECOND
    assert one_each(on)


def test_a_host_that_hangs_while_it_is_switched_is_left_out_and_catches_up(
    lab: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    """Nothing on it answers and nothing is refused either: packets go to it, and none come back."""
    hung = []

    def hang(host: str) -> None:
        hung.append(host)
        subprocess.run(["docker", "pause", f"{lab.name}-{host}"], check=True, capture_output=True)

    try:
        (code, out), seen = under_load(clients, lambda: roll_and(hang))
    finally:
        for host in hung:
            subprocess.run(["docker", "unpause", f"{lab.name}-{host}"], check=True, capture_output=True)
    [victim] = hung
    assert code == ExitCode.UNREACHABLE, out
    assert steps()[victim] == "unreachable"
    # What that machine had in hand when it stopped may break, and what POSTs went to it until it was noticed.
    assert seen.failed <= RATE, seen.errors
    assert host_state(victim) == "quarantined"
    healed, seen = under_load(clients, lambda: deploy(SECOND, "--limit", victim))
    assert healed.returncode == 0, said(healed)
    assert seen.lost == 0, seen.errors
    rest = deploy(SECOND)
    assert rest.returncode == 0, said(rest)
    assert tags() == ALL_SECOND
    assert host_state(victim) == "active"
    assert one_each(on)


def test_a_load_balancer_that_ends_in_mid_roll_stops_it_and_the_other_one_serves(
    lab: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    *each, shared = clients
    address = str(urlsplit(shared).hostname)
    [victim] = [lb for lb in LBS if address in on(lb, "ip -4 -oneline address").stdout]
    other = each[1 - LBS.index(victim)]

    def end(_host: str) -> None:
        on(victim, "sudo systemctl kill --signal KILL haproxy && sudo systemctl stop haproxy")

    stays = tuple(lb for lb in LBS if lb != victim)
    try:
        (code, out), seen = under_load([other, shared], lambda: roll_and(end), stays)
    finally:
        started = on(victim, "sudo systemctl reset-failed haproxy; sudo systemctl start haproxy")
    assert started.returncode == 0, said(started)
    assert code not in (0, ExitCode.INTERNAL), out
    assert f"load balancer {victim}" in out
    assert seen.at[other][1] == 0, seen.errors
    # At the VIP what it had in hand breaks, and what comes until the other one holds the address.
    assert seen.at[shared][1] <= MOVES * 2 * RATE, seen.errors
    assert set(tags().values()) <= {FIRST, SECOND}
    (code, out), seen = under_load(clients, lambda: _ended(deploy(SECOND)))
    assert code == 0, out
    assert seen.lost == 0, seen.errors
    assert tags() == ALL_SECOND
    assert one_each(on)


def _ended(done: subprocess.CompletedProcess[str]) -> Ended:
    return done.returncode, said(done)


@contextmanager
def no_registry(on: Run, hosts: tuple[str, ...]) -> Iterator[None]:
    """Keep some hosts from the registry, as if it went down after the others had pulled."""
    rule = "OUTPUT --protocol tcp --dport 5000 --jump REJECT --reject-with tcp-reset"
    for host in hosts:
        done = on(host, f"sudo iptables --insert {rule}")
        assert done.returncode == 0, said(done)
    try:
        yield
    finally:
        for host in hosts:
            on(host, f"sudo iptables --delete {rule}")


def forget(on: Run, hosts: tuple[str, ...]) -> None:
    """Have some hosts pull again: no image but that which runs."""
    for host in hosts:
        remove = "sudo docker rm $(sudo docker ps --all --quiet --filter status=exited) 2> /dev/null"
        on(host, f"{remove}; sudo docker image prune --all --force")


def test_a_registry_that_goes_down_after_half_the_pulls_stops_the_roll_before_it_begins(
    lab: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    half = HOSTS[3:]
    forget(on, HOSTS)
    before = running(on)
    planned = deploy(SECOND, "--plan", "--json")
    assert planned.returncode == 0, said(planned)
    pulls = {step["host"]: step["pull"] for step in json.loads(planned.stdout)["plan"]["steps"]}
    assert set(pulls) == set(HOSTS)
    assert all(pull["bytes"] is not None and "@sha256:" in pull["image"] for pull in pulls.values()), pulls
    with no_registry(on, half):
        (code, out), seen = under_load(clients, lambda: _ended(deploy(SECOND)))
    assert code == ExitCode.UNREACHABLE, out
    assert "because the registry failed: " in " ".join(out.split()), out
    assert all(f"host {host}: " in out for host in half), out
    failed = {step.host.name: step.detail["kind"] for step in last().steps if step.state == "failed"}
    assert failed == dict.fromkeys(half, "registry")
    assert seen.lost == 0, seen.errors
    assert running(on) == before
    assert last().state == "failed"
    done = deploy(SECOND)
    assert done.returncode == 0, said(done)


@pytest.fixture
def large(built: None, tmp_path: Path) -> str:
    """A release with a layer of forty MiB that nobody can make smaller."""
    endpoint = snapshot.read(Store.open()).registries[0].endpoint
    (tmp_path / "large").write_bytes(os.urandom(40 * 1024 * 1024))
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY large /large\n", encoding="utf-8")
    base = f"BASE={endpoint}/dianrong/demo:{FIRST}"
    done = drcloud("build", "demo", "--tag", LARGE, "--source", str(tmp_path), "--build-arg", base)
    assert done.returncode == 0, said(done)
    return LARGE


def test_a_disk_that_is_full_is_found_before_anything_is_touched(
    lab: Lab, on: Run, clients: list[str], on_first: None, large: str
) -> None:
    root = on("dk-05", "sudo docker info --format '{{.DockerRootDir}}'").stdout.strip()
    before = running(on)
    filler = f"{root}/drc-test-filler"
    # A hundred MiB stay: enough for an engine to live with and for the layer, but not while it is unpacked.
    room = f"$(( $(df --output=avail --block-size=1M {root} | tail -1) - 100 ))M"
    filled = on("dk-05", f"sudo bash -c 'fallocate --length {room} {filler}'")
    assert filled.returncode == 0, said(filled)
    try:
        (code, out), seen = under_load(clients, lambda: _ended(deploy(large)))
    finally:
        on("dk-05", f"sudo rm --force {filler}")
    assert code == ExitCode.FAILED, out
    assert f"host dk-05: {root} has " in out, out
    assert "MiB free, and the image needs about 161 MiB for 41 MiB of layers" in " ".join(out.split())
    assert seen.lost == 0, seen.errors
    assert running(on) == before


def test_two_rolls_of_some_hosts_each_that_share_one_take_turns(on: Run, on_first: None) -> None:
    with rolling_of(SECOND, "--limit", "dk-01,dk-02") as winner:
        [held] = wait_for(
            lambda: [one for one in leases.held(Store.open()) if one.name == "app:demo@prod"], 60
        )
        loser = deploy(SECOND, "--limit", "dk-02,dk-03")
        out, _ = winner.communicate(timeout=300)
    assert loser.returncode == ExitCode.LOCKED, said(loser)
    assert f"app:demo@prod is locked by {held.holder}" in loser.stdout + loser.stderr
    assert " since " in loser.stdout + loser.stderr
    assert winner.returncode == 0, out
    assert {host for host, tag in tags().items() if tag == SECOND} == {"dk-01", "dk-02"}


def test_a_deploy_and_a_rollback_at_once_take_turns(on: Run, on_first: None) -> None:
    with rolling_of(SECOND) as winner:
        wait_for(lambda: bool(leases.held(Store.open())), 60)
        loser = drcloud("rollback", "demo", "--env", "prod")
        out, _ = winner.communicate(timeout=300)
    assert loser.returncode == ExitCode.LOCKED, said(loser)
    assert winner.returncode == 0, out
    assert tags() == ALL_SECOND


def test_websockets_are_cut_when_their_time_is_up_and_open_again_elsewhere(
    lab: Lab, clients: list[str], on_first: None
) -> None:
    load = Load(clients, (*steady(RATE), *sockets()))
    load.start()
    try:
        done = deploy(SECOND, "--drain-timeout", "3")
    finally:
        seen = load.stop()
    print(
        f"{seen.served} served, {seen.failed} failed, {seen.sockets} websockets, {seen.failed_sockets} failed"
    )
    assert done.returncode == 0, said(done)
    assert (seen.failed, seen.failed_sockets) == (0, 0), seen.errors
    # Each was where it began until that host was switched.
    assert seen.sockets >= 2 * len(clients), seen
    assert tags() == ALL_SECOND


def states(lab: Lab, lb: str, host: str) -> set[str]:
    """Administrative states of a host's servers at a load balancer, asked without SSH."""
    ask = ["docker", "exec", f"{lab.name}-{lb}", "bash", "-c", ASK]
    shown = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    pool = haproxy.parse(POOL, shown)
    return {f"{slot} {pool[haproxy.server_name(host, slot)].admin}" for slot in "ab"}


def test_a_host_that_is_killed_while_it_is_drained_is_left_out_within_the_budget(
    lab: Lab, on: Run, clients: list[str], on_first: None
) -> None:
    """Its new instance serves and its old one has requests in hand: both are gone at once."""
    killed = []

    def kill(host: str) -> None:
        before = states(lab, "lb-01", host)
        serving = next(state[0] for state in before if state.endswith("ready"))
        wait_for(lambda: f"{serving} drain" in states(lab, "lb-01", host), 60)
        killed.append(host)
        subprocess.run(["docker", "kill", f"{lab.name}-{host}"], check=True, capture_output=True)

    try:
        (code, out), seen = under_load(clients, lambda: roll_and(kill, "--failure-budget", "1"))
    finally:
        for host in killed:
            revive(lab, host)
    [victim] = killed
    assert code == ExitCode.UNREACHABLE, out
    assert f"lost and quarantined: {victim}" in " ".join(out.split())
    assert last().state == "succeeded"
    assert {host: tag for host, tag in tags().items() if host != victim} == {
        host: SECOND for host in HOSTS if host != victim
    }
    # What that machine had in hand when it was killed may break, and what came until that was noticed.
    assert seen.lost <= RATE, seen.errors
    healed, seen = under_load(clients, lambda: deploy(SECOND, "--limit", victim))
    assert healed.returncode == 0, said(healed)
    assert seen.lost == 0, seen.errors
    assert tags() == ALL_SECOND
    assert one_each(on)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "closed terminal"])
def test_a_roll_that_somebody_stops_is_resumed(
    on: Run, clients: list[str], on_first: None, number: signal.Signals
) -> None:
    def stop_and_resume() -> subprocess.CompletedProcess[str]:
        with rolling_of(SECOND) as rolling:
            wait_for(claimed, 180)
            rolling.send_signal(number)
            out, _ = rolling.communicate(timeout=120)
        assert rolling.returncode != 0, out
        assert "Traceback" not in out, out
        wait_for(lambda: not leases.held(Store.open()), 60)
        return drcloud("deploy", "demo", "--env", "prod", "--resume")

    done, seen = under_load(clients, stop_and_resume)
    assert done.returncode == 0, said(done)
    assert seen.lost == 0, seen.errors
    assert tags() == ALL_SECOND
    assert one_each(on)


def test_a_tag_that_moves_during_the_roll_is_what_it_was_when_it_began(on: Run, on_first: None) -> None:
    for tag in (SECOND, FIRST):
        moved = drcloud("promote", "demo", tag, MOVING, "--reason", "a test")
        assert moved.returncode == 0, said(moved)
    moved = drcloud("promote", "demo", SECOND, MOVING, "--reason", "a test")
    assert moved.returncode == 0, said(moved)

    def move(_host: str) -> None:
        again = drcloud("promote", "demo", FIRST, MOVING, "--reason", "a test")
        assert again.returncode == 0, said(again)

    code, out = roll_and(move, tag=MOVING)
    assert code == 0, out
    assert {answers(url)["version"] for url in direct()} == {SECOND}
    assert len({step.host.name for step in last().steps if step.state == "done"}) == len(HOSTS)


def direct() -> list[str]:
    """The app at its hosts, past the load balancers."""
    rows = snapshot.read(Store.open())
    addresses = {host.name: host.address for host in rows.hosts}
    ports = next(row.ports for row in rows.placements if (row.app, row.env) == ("demo", "prod"))
    return [f"http://{addresses[host]}:{ports[host][slot]}/" for host, slot in serving().items()]


def serving() -> dict[str, str]:
    found = {row.host: row.seen for row in status.read(Store.open(), "demo", "prod")}
    return {host: seen.slot for host, seen in found.items() if seen is not None}


def test_a_host_without_the_registrys_credentials_is_told_before_anything_is_touched(
    on: Run, on_first: None
) -> None:
    before, config = running(on), "/etc/drcloud/docker/config.json"
    forget(on, ("dk-05",))
    moved = on("dk-05", f"sudo mv {config} {config}.aside")
    assert moved.returncode == 0, said(moved)
    try:
        plan, done = deploy(SECOND, "--plan"), deploy(SECOND)
    finally:
        on("dk-05", f"sudo mv {config}.aside {config}")
    for told in (plan, done):
        assert told.returncode not in (0, ExitCode.INTERNAL), said(told)
        assert "host dk-05: " in told.stdout, said(told)
        assert "Traceback" not in told.stdout + told.stderr
    assert running(on) == before


def test_a_port_that_something_else_has_is_told_with_its_name(on: Run, on_first: None) -> None:
    before = running(on)
    free = "b" if serving()["dk-05"] == "a" else "a"
    rows = snapshot.read(Store.open())
    port = next(row.ports for row in rows.placements if (row.app, row.env) == ("demo", "prod"))["dk-05"][free]
    unit = f"sudo systemd-run --quiet --collect --unit=drc-squatter python3 -m http.server {port}"
    begun = on("dk-05", unit)
    assert begun.returncode == 0, said(begun)
    try:
        wait_for(lambda: on("dk-05", f"ss -Hltn sport = :{port}").stdout != "", 20)
        done = deploy(SECOND)
    finally:
        on("dk-05", "sudo systemctl stop drc-squatter")
    assert done.returncode == ExitCode.FAILED, said(done)
    assert f"port {port} of " in done.stdout
    assert "is taken by python3 (pid " in " ".join(done.stdout.split())
    assert running(on) == before


def test_an_image_that_cannot_be_pulled_is_found_before_anything_is_touched(
    lab: Lab, on: Run, clients: list[str], on_first: None, large: str
) -> None:
    """Its tag and its manifest are there, and a layer is not."""
    before = running(on)
    forget(on, HOSTS)
    root = "/var/lib/docker-registry/docker/registry/v2/blobs/sha256"
    layer = on("infra-01", f"sudo find {root} -name data -size +30M -printf '%T@ %p\\n' | sort -n | tail -1")
    path = layer.stdout.split()[1]
    on("infra-01", f"sudo mv {path} {path}.aside")
    try:
        (code, out), seen = under_load(clients, lambda: _ended(deploy(large)))
    finally:
        on("infra-01", f"sudo mv {path}.aside {path}")
    assert code not in (0, ExitCode.INTERNAL), out
    assert all(f"host {host}: " in out for host in HOSTS), out
    assert seen.lost == 0, seen.errors
    assert running(on) == before
    assert last().state == "failed"
