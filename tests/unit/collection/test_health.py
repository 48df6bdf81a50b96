"""The health check against servers that answer well, badly, elsewhere, slowly, or not at all."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _health

ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/200": (200, {}, b"fine\n"),
    "/204": (204, {}, b""),
    "/503": (503, {}, b"no\ndatabase\n"),
    "/404": (404, {}, b""),
    "/302": (302, {"Location": "/200"}, b"over there"),
    "/304": (304, {}, b""),
    "/long": (500, {}, b"x" * 10_000),
}


class App(http.server.BaseHTTPRequestHandler):
    """An app whose paths are what they answer; one of them never does."""

    asked: list[tuple[str, str | None]]
    release: threading.Event

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["User-Agent"]))
        if self.path == "/hangs":
            self.release.wait(10)
            return
        if self.path == "/closes":
            return
        status, headers, body = ANSWERS[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    App.asked, App.release = [], threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_address[1]
    App.release.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/200", None),
        ("/204", None),
        ("/503", "HTTP 503 no database"),
        ("/404", "HTTP 404"),
        ("/302", "HTTP 302, a redirect to /200"),
        ("/304", "HTTP 304, a redirect to nowhere"),
        ("/long", f"HTTP 500 {'x' * _health.BODY}"),
    ],
)
def test_only_2xx_of_the_path_itself_is_healthy(port: int, path: str, wrong: str | None) -> None:
    assert _health.probe("127.0.0.1", port, path, 2) == wrong
    # A redirect is not followed, though what it leads to would answer well.
    assert App.asked == [(path, "drcloud-health")]


def test_an_app_that_hangs_is_given_up_in_time(port: int) -> None:
    began = time.monotonic()
    assert _health.probe("127.0.0.1", port, "/hangs", 0.3) == "no answer (timed out)"
    assert time.monotonic() - began < 5


def test_an_app_that_hangs_up_has_not_answered(port: int) -> None:
    assert str(_health.probe("127.0.0.1", port, "/closes", 2)).startswith("no answer (")


def test_where_nobody_listens_there_is_no_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        wrong = str(_health.probe("127.0.0.1", free.getsockname()[1], "/200", 2))
    assert wrong.startswith("no answer (")
    assert "refused" in wrong


def test_a_specification_says_which_way_to_ask(port: int) -> None:
    def never(_command: Any, _timeout: Any) -> Any:
        raise AssertionError("nothing is to be run")

    sick = {"kind": "http", "path": "/503", "timeout": 2.0}
    assert _health.ask(sick, "127.0.0.1", port, never) == "HTTP 503 no database"
    assert len(App.asked) == 1
    # For a connection it is enough that somebody takes it, whatever the app would answer.
    assert _health.ask({**sick, "kind": "tcp"}, "127.0.0.1", port, never) is None
    assert len(App.asked) == 1
    run = {**sick, "kind": "exec", "command": ["/check"]}
    assert _health.ask(run, "127.0.0.1", port, lambda _command, _timeout: (1, b"")) == (
        "/check ended with exit code 1"
    )


def test_a_redirect_never_becomes_healthy(port: int) -> None:
    health = {
        **{"kind": "http", "path": "/302", "timeout": 1.0, "interval": 0.1},
        **{"retries": 2, "start_period": 0.0, "min_healthy": 0.0},
    }

    def look() -> str | None:
        return _health.ask(health, "127.0.0.1", port, None)

    with pytest.raises(_health.UnhealthyError, match="not healthy after 0 s: HTTP 302, a redirect to /200"):
        _health.wait(lambda: None, look, health)
