"""Who acts."""

from __future__ import annotations

import os

import pytest

from drcloud.cmdb import actor


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DRCLOUD_ACTOR", "BUILD_USER_ID", "BUILD_TAG", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.gethostname", lambda: "ctl")
    monkeypatch.setattr("getpass.getuser", lambda: "root")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "root@ctl"),
        ({"SUDO_USER": "alice"}, "alice@ctl"),
        ({"SUDO_USER": "alice", "BUILD_TAG": "jenkins-demo-7"}, "jenkins:jenkins-demo-7"),
        ({"BUILD_TAG": "jenkins-demo-7", "BUILD_USER_ID": "bob"}, "jenkins:bob"),
        ({"BUILD_USER_ID": "bob", "DRCLOUD_ACTOR": "张三"}, "张三"),
        ({"DRCLOUD_ACTOR": "x" * 500}, "x" * 128),
    ],
)
def test_in_order(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert actor.current() == expected


def test_a_user_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert actor.current() == f"uid{os.getuid()}@ctl"
