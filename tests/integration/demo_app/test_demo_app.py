"""The demo app as a process: what it tells, how it fails on demand, and that a stop loses no request."""

from __future__ import annotations

import concurrent.futures
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

APP = Path(__file__).parents[3] / "apps" / "demo" / "app.py"
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the app on a free port with settings; return the process and its URL."""
    started: list[subprocess.Popen[str]] = []

    def run(**settings: str) -> tuple[subprocess.Popen[str], str]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        environment = {"VERSION": "7", "PORT": str(port), "DRCLOUD_HOST": "dk-09", **settings}
        process = subprocess.Popen(
            [sys.executable, str(APP)], env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, f"http://127.0.0.1:{port}"

    yield run
    for process in started:
        process.kill()
        process.communicate()


def ready(url: str, seconds: float = 20) -> httpx.Response:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(f"{url}/healthz", timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the app does not listen"
            time.sleep(0.05)


def in_flight(url: str, count: int) -> None:
    """Wait until the app works on so many requests at once."""
    deadline = time.monotonic() + 20
    while httpx.get(f"{url}/healthz").json()["in_flight"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_tells_version_host_and_slot_over_one_connection(start: Start) -> None:
    _, url = start(DRCLOUD_SLOT="b")
    ready(url)
    with httpx.Client(base_url=url) as client:
        for _ in range(3):
            answer = client.get("/")
            assert answer.http_version == "HTTP/1.1"
            assert answer.json() == {"app": "demo", "version": "7", "host": "dk-09", "slot": "b"}
            assert "connection" not in answer.headers
        assert client.head("/").content == b""
        assert client.get("/nope").status_code == 404
        assert client.get("/slow", params={"seconds": "much"}).status_code == 400


def test_fails_its_health_check_on_demand(start: Start) -> None:
    _, url = start(FAIL_HEALTH="1")
    assert ready(url).status_code == 503
    assert httpx.get(url).status_code == 200


def test_starts_slowly_on_demand_and_can_be_stopped_meanwhile(start: Start) -> None:
    process, url = start(START_DELAY="30")
    time.sleep(1)
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_crashes_on_demand(start: Start) -> None:
    process, _ = start(CRASH_AFTER="0.5")
    assert process.wait(timeout=20) == 3


def test_a_bad_setting_is_one_sentence(start: Start) -> None:
    process, _ = start(SLOW="very")
    assert process.wait(timeout=20) == 1


def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new(start: Start) -> None:
    process, url = start()
    ready(url)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        flying = [pool.submit(httpx.get, f"{url}/slow?seconds=4", timeout=20) for _ in range(5)]
        held = pool.submit(httpx.get, f"{url}/hold", timeout=20)
        in_flight(url, 6)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(httpx.TransportError):
            httpx.get(url)
        assert [future.result().status_code for future in flying] == [200] * 5
        assert held.result().text.startswith("7 ")
    assert process.wait(timeout=10) == 0


def test_a_stop_does_not_wait_for_ever(start: Start) -> None:
    process, url = start(DRAIN="0.5")
    ready(url)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        flying = pool.submit(httpx.get, f"{url}/slow?seconds=20", timeout=30)
        in_flight(url, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 1
        assert isinstance(flying.exception(), httpx.TransportError)
