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

from drcloud.lab.load import Load, sockets

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
            return httpx.get(f"{url}/healthz", timeout=5, verify=False)
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the app does not listen"
            time.sleep(0.05)


def in_flight(url: str, count: int) -> None:
    """Wait until the app works on so many requests at once."""
    deadline = time.monotonic() + 20
    while httpx.get(f"{url}/healthz", verify=False).json()["in_flight"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_body_is_taken_and_a_long_one_refused(start: Start) -> None:
    _process, url = start()
    ready(url)
    with httpx.Client(base_url=url, verify=False) as client:
        answer = client.post("/", content=b"12345")
        assert (answer.status_code, answer.json()["bytes"], answer.json()["version"]) == (200, 5, "7")
        assert client.post("/", content=iter([b"12345"])).status_code == 411
        assert client.post("/", content=b"x" * (1024 * 1024 + 1)).status_code == 413


def test_a_websocket_tells_the_version_and_ends_with_the_app(start: Start) -> None:
    process, url = start()
    ready(url)
    load = Load([f"{url}/"], sockets())
    load.start()
    in_flight(url, 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    seen = load.stop()
    # It is opened again, and nobody is there any more.
    assert seen.sockets == 1
    assert all("refused" in text or "reset" in text.lower() for text in seen.errors), seen.errors
    assert (seen.served, seen.posted) == (0, 0)


def test_what_is_no_websocket_is_told_so(start: Start) -> None:
    _process, url = start()
    ready(url)
    assert httpx.get(f"{url}/socket", verify=False).status_code == 400


def refused(url: str) -> bool:
    """Tell whether the app takes no new requests."""
    try:
        httpx.get(url, verify=False)
    except httpx.TransportError:
        return True
    return False


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process handles a signal itself (proc(5), SigCgt): Python does so once it has begun."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


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
    deadline = time.monotonic() + 20
    while not catches(process.pid, signal.SIGTERM):
        assert time.monotonic() < deadline
        time.sleep(0.05)
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
    # One client for all: each of its own would load the machine's authorities first, which takes its time.
    with httpx.Client(verify=False, timeout=60) as client, concurrent.futures.ThreadPoolExecutor(8) as pool:
        flying = [pool.submit(client.get, f"{url}/slow?seconds=5") for _ in range(5)]
        held = pool.submit(client.get, f"{url}/hold")
        in_flight(url, 6)
        process.send_signal(signal.SIGTERM)
        while not refused(url):
            assert not flying[-1].done(), "the app goes on taking requests"
            time.sleep(0.05)
        assert not flying[-1].done(), "the app goes on taking requests until it ends"
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
