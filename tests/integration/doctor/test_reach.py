"""SSH and what is behind it: real clients, real servers, and what goes wrong between them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from drcloud.doctor import balancers, database, reach
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, Level
from drcloud.exitcodes import ExitCode

from .conftest import SshServers, machine

Make = Callable[[dict[str, Any]], Context]


def visited(context: Context, *checks: Any) -> dict[str, Finding]:
    return {found.subject: found for check in (database.cmdb, *checks) for found in check(context)}


def test_hosts_through_their_bastion(site: Make, servers: SshServers) -> None:
    bastion, first, second = (servers.start(f"127.0.0.{number}") for number in (1, 2, 3))
    context = site(
        {
            "hosts": [
                machine("dk-01", first, "bastion-01"),
                machine("dk-02", second, "bastion-01"),
                machine("bastion-01", bastion),
            ]
        }
    )
    told: list[str] = []
    context.watch = told.append
    found = visited(context, reach.hosts)
    names = ["bastion-01", "dk-01", "dk-02"]
    assert [found[name].level for name in names] == [Level.OK] * 3
    assert list(found)[1] == "bastion-01"
    assert context.reached == set(names)
    assert told[-1] == "SSH: 3 of 3 hosts"


def test_what_keeps_us_out(site: Make, servers: SshServers) -> None:
    good, other, unknown, closed = (servers.start(f"127.0.0.{number}") for number in (1, 2, 3, 4))
    with socket.create_server(("127.0.0.4", 0)) as listener:
        closed.port = listener.getsockname()[1]
    context = site(
        {
            "hosts": [
                machine("good", good),
                machine("changed", other, host_keys={"ssh-ed25519": good.key}),
                machine("unknown", unknown, host_keys={}),
                machine("closed", closed),
                machine("behind", good, "closed", address="127.0.0.6"),
                machine("new", good, address="127.0.0.7", state="planned"),
            ]
        }
    )
    found = visited(context, reach.hosts)
    assert {name: one.level for name, one in found.items() if one.check == reach.CHECK} == {
        "1 host": Level.SKIPPED,
        "good": Level.OK,
        "changed": Level.PROBLEM,
        "unknown": Level.WARNING,
        "closed": Level.PROBLEM,
        "behind": Level.SKIPPED,
    }
    assert {found[name].exit_code for name in ("changed", "closed")} == {ExitCode.UNREACHABLE}
    assert "find out why its key changed" in found["changed"].advice
    assert "start sshd there" in found["closed"].advice
    assert found["behind"].message == "stands behind closed, which does not let us in"
    assert "provision --limit unknown" in found["unknown"].advice


def test_a_host_that_hangs(site: Make, servers: SshServers) -> None:
    host = servers.start("127.0.0.1")
    with socket.create_server(("127.0.0.5", 0)) as silent:
        host.address, host.port = "127.0.0.5", silent.getsockname()[1]
        context = site({"hosts": [machine("hung", host)]})
        context.seconds = 1.0
        hung = visited(context, reach.hosts)["hung"]
    assert (hung.level, hung.exit_code) == (Level.PROBLEM, ExitCode.UNREACHABLE)


def test_another_key_than_ours(site: Make, servers: SshServers, tmp_path: Path) -> None:
    host = servers.start("127.0.0.1")
    context = site({"hosts": [machine("dk-01", host)]})
    other_key = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
    (tmp_path / "authorized").write_bytes(other_key)
    stranger = SshServers(tmp_path / "authorized")
    try:
        other = stranger.start("127.0.0.2")
        context = site({"hosts": [machine("dk-02", other)]})
        context.limit = "dk-02"
        found = visited(context, reach.hosts)
    finally:
        stranger.stop()
    assert "Permission denied" in found["dk-02"].message
    assert "authorized_keys" in found["dk-02"].advice
    assert "dk-01" not in found


STAT = """# pxname,svname,qcur,status,weight
demo_prod_frontend,FRONTEND,,OPEN,
demo_prod,dk-01_a,0,UP,1
demo_prod,dk-01_b,0,DOWN,1
demo_prod,BACKEND,0,UP,1
demo_qa,dk-02_a,0,DOWN,1
demo_qa,BACKEND,0,DOWN,0
"""


def test_what_a_balancer_says() -> None:
    found = balancers.pools(STAT)
    assert found == {"demo_prod": ("UP", 1), "demo_qa": ("DOWN", 0)}
    [good] = balancers.judged("lb-01", ["demo_prod"], found)
    assert good.level is Level.OK
    missing, idle = balancers.judged("lb-01", ["demo_prod", "demo_qa", "shop_prod"], found)
    assert (missing.level, missing.message) == (Level.PROBLEM, "HAProxy has no pool shop_prod")
    assert (idle.level, idle.message) == (Level.WARNING, "no server of demo_qa is up")


@pytest.mark.parametrize(
    ("text", "code", "level"), [(STAT, 0, Level.OK), ("sudo: a password is required\n", 1, Level.PROBLEM)]
)
def test_balancers_are_asked_over_ssh(
    site: Make, servers: SshServers, text: str, code: int, level: Level
) -> None:
    host, lb = servers.start("127.0.0.1"), servers.start("127.0.0.2")
    lb.answers[balancers.COMMAND] = (text, code)
    context = site(
        {
            "environments": [{"name": "prod"}],
            "registries": [{"name": "main", "endpoint": "127.0.0.1:9"}],
            "hosts": [machine("dk-01", host), machine("lb-01", lb, role="lb")],
            "apps": [{"name": "demo", "spec": {"image": "demo", "port": 80}}],
            "placements": [
                {"app": "demo", "env": "prod", "hosts": ["dk-01"], "lb_port": 80, "lbs": ["lb-01"]}
            ],
        }
    )
    assert visited(context, reach.hosts, balancers.balancers)["lb-01"].level is level
