"""A registry with TLS of its own authority: reached, refused, mistrusted, silent."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drcloud.doctor import database, registries
from drcloud.doctor.context import Context
from drcloud.doctor.finding import Finding, Level
from drcloud.exitcodes import ExitCode

from .conftest import Authority, new_authority

Make = Callable[[dict[str, Any]], Context]


@pytest.fixture
def ask(site: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finding]:
    """Declare a registry and return what the doctor finds."""

    def visit(endpoint: str, ca: Path, password: str = "右") -> Finding:
        monkeypatch.setenv("PASSWORD", password)
        entry = {"name": "main", "endpoint": endpoint, "username": "drcloud", "password": "env:PASSWORD"}
        context = site({"registries": [{**entry, "ca": f"file:{ca}"}]})
        list(database.cmdb(context))
        [found] = registries.registries(context)
        return found

    return visit


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_it_takes_our_credentials(
    ask: Callable[..., Finding], registry: Callable[[str], str], authority: Authority, kind: str
) -> None:
    found = ask(registry(kind), authority.ca)
    assert (found.level, found.message) == (Level.OK, "answers, and takes drcloud")


@pytest.mark.parametrize("kind", ["basic", "token"])
def test_it_refuses_others(
    ask: Callable[..., Finding], registry: Callable[[str], str], authority: Authority, kind: str
) -> None:
    found = ask(registry(kind), authority.ca, password="left")
    assert (found.exit_code, found.message) == (ExitCode.DENIED, "refuses drcloud")
    assert "left" not in repr(found)


def test_an_authority_that_we_do_not_know(
    ask: Callable[..., Finding], registry: Callable[[str], str], tmp_path: Path
) -> None:
    found = ask(registry("basic"), new_authority(tmp_path).ca)
    assert found.exit_code is ExitCode.UNREACHABLE
    assert found.message.startswith("its certificate is not trusted")
    assert f"file:{tmp_path}/ca.pem" in found.advice


def test_nobody_listens(ask: Callable[..., Finding], authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = ask(f"127.0.0.1:{port}", authority.ca)
    assert (found.exit_code, found.level) == (ExitCode.UNREACHABLE, Level.PROBLEM)


def test_no_registry(
    ask: Callable[..., Finding], registry: Callable[[str], str], authority: Authority
) -> None:
    found = ask(registry("web"), authority.ca)
    assert (found.exit_code, found.message) == (ExitCode.FAILED, "answers HTTP 404")


def test_a_ca_that_is_none(ask: Callable[..., Finding], tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("not a certificate", encoding="utf-8")
    assert "its CA is no certificate" in ask("127.0.0.1:9", tmp_path / "bad.pem").message
    found = ask("127.0.0.1:9", tmp_path / "missing.pem")
    assert (found.exit_code, "missing.pem" in found.message) == (ExitCode.INVALID_INPUT, True)
