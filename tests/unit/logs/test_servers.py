"""Answers of log servers: records in order, and what the end of a connection means."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from drcloud.cli.logs import line
from drcloud.errors import DrcloudError, NothingMatchedError, UnreachableError
from drcloud.logs import servers
from drcloud.logs.request import Request

WANTED = Request("demo", "prod")


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which a script per server stands for what ssh does there."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nexec sh "$(dirname "$0")/$5"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def read(directory: Path, **scripts: str) -> list[str]:
    for name, script in scripts.items():
        (directory / name).write_text(script)
    with servers.connected(
        list(scripts),
        directory / "config",
    ) as lines:
        return [str(found["message"]) for found in servers.read(lines, WANTED)]


def said(*pairs: tuple[int, str]) -> str:
    return "".join(
        f"""echo '{{"time": "2026-11-23T00:00:{at:02}", "message": "{text}"}}'\n""" for at, text in pairs
    )


def test_servers_are_merged_in_the_order_of_time(ssh: Path) -> None:
    assert read(ssh, one=said((1, "a"), (4, "d")), two=said((2, "b"), (3, "c"))) == list("abcd")


def test_that_one_of_several_never_heard_of_the_app_is_no_failure(ssh: Path) -> None:
    assert read(ssh, one="exit 10", two=said((1, "a"))) == ["a"]


def test_what_a_server_says_of_itself_is_known_when_it_has_answered(ssh: Path) -> None:
    (ssh / "one").write_text(said((1, "a")) + "echo 'sudo: whatever' >&2; echo 'note: is out of room' >&2\n")
    (ssh / "two").write_text("exit 10")
    with servers.connected(["one", "two"], ssh / "config") as lines:
        assert len(list(servers.read(lines, WANTED))) == 1
    assert [line.note for line in lines] == ["is out of room", ""]


def test_that_nobody_heard_of_the_app_is_one(ssh: Path) -> None:
    with pytest.raises(NothingMatchedError, match="log server one has never heard of demo in prod"):
        read(ssh, one="exit 10", two="exit 10")


def test_a_host_that_keeps_no_log_says_what_to_do(ssh: Path) -> None:
    with pytest.raises(NothingMatchedError, match=r"drcloud run dianrong\.cloud\.provision --limit one"):
        read(ssh, one="exit 11")


def test_a_server_that_does_not_answer_is_told_of_after_what_the_others_have(ssh: Path) -> None:
    (ssh / "one").write_text("echo 'ssh: connect to host: Connection refused' >&2; exit 255")
    (ssh / "two").write_text(said((1, "a")))
    found = []
    with servers.connected(["one", "two"], ssh / "config") as lines, pytest.raises(UnreachableError) as error:
        for record in servers.read(lines, WANTED):
            found.append(record["message"])
    assert found == ["a"]
    assert str(error.value) == "log server one does not answer: ssh: connect to host: Connection refused"


def test_a_bastion_that_does_not_answer_is_named(ssh: Path) -> None:
    """The ssh to the bastion says why, the one to the server behind it only that the line is closed."""
    why = "ssh: connect to host 10.90.0.5 port 22: Connection refused"
    (ssh / "one").write_text(
        f"echo '{why}' >&2; echo 'Connection closed by UNKNOWN port 65535' >&2; exit 255"
    )
    through = {"one": "bastion-01"}
    with (
        servers.connected(["one"], ssh / "config", through) as lines,
        pytest.raises(UnreachableError) as error,
    ):
        list(servers.read(lines, WANTED))
    assert str(error.value) == f"log server one does not answer through bastion bastion-01: {why}"


def test_a_program_that_fails_there_is_no_silence(ssh: Path) -> None:
    with pytest.raises(
        DrcloudError, match=r"cannot read its files \(exit code 1\): sudo: a password is required"
    ):
        read(ssh, one="echo 'sudo: a password is required' >&2; exit 1")


def test_a_damaged_line_is_shown_as_it_is(ssh: Path) -> None:
    assert read(ssh, one="echo '{half'; echo '[1]'") == ["{half", "[1]"]


@pytest.mark.timeout(30)
def test_a_way_in_that_still_tries_is_not_waited_for(ssh: Path) -> None:
    """A packet filter says nothing, so the connection through the bastion is tried for two minutes."""
    with pytest.raises(UnreachableError, match="log server one does not answer: ssh: timed out"):
        read(ssh, one="sleep 60 > /dev/null & echo 'ssh: timed out' >&2; exit 255")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("last", ["sleep 60", "trap '' TERM; sleep 60; sleep 60"], ids=["silent", "stubborn"])
def test_following_ends_at_once_over_a_connection_that_is_dead(ssh: Path, last: str) -> None:
    """A thread waits for what comes next, and the ways in that ssh started hold its pipes."""
    (ssh / "one").write_text(said((1, "a")) + last)
    with servers.connected(["one"], ssh / "config") as lines:
        found = servers.read(lines, Request("demo", "prod", follow=True))
        assert next(found)["message"] == "a"
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert lines[0].process.returncode is not None


def test_a_line_for_people_cannot_steer_the_terminal() -> None:
    record = {
        "time": "2026-11-23T00:27:22.288944+00:00",
        "host": "dk-01",
        "container": "demo_prod_a_12345678",
        "tag": "rt68",
        "severity": "err",
        "message": "\x1b[2Jgone 汉字\r\n",
    }
    shown = line(record, "demo")
    assert shown == ("2026-11-23T00:27:22.288 dk-01 demo_prod_a_12345678 rt68 | err: \\x1b[2Jgone 汉字\\r\\n")
