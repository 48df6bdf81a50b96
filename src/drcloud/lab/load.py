"""Steady traffic through the load balancers, counted: what a roll costs its users.

One thread and one kept-alive connection per client; a request counts as failed when its answer is not
200 or does not come. Nothing is tried twice: what the client saw is what is counted.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the clients saw. ``errors`` are sentences, the first of each kind with its URL."""

    served: int
    failed: int
    errors: tuple[str, ...]
    by_version: dict[str, int]


@dataclass(slots=True)
class _Seen:
    versions: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


class Load:
    """Keep-alive GETs to each URL at ``rate`` requests per second and URL, from start to stop."""

    def __init__(self, urls: Sequence[str], rate: float = 50.0, clients: int = 2) -> None:
        self._stopping = threading.Event()
        self._seen: list[_Seen] = []
        self._threads: list[threading.Thread] = []
        for url in urls:
            for _ in range(clients):
                seen = _Seen()
                client = _Client(url, clients / rate, seen, self._stopping)
                self._seen.append(seen)
                self._threads.append(threading.Thread(target=client.run, daemon=True))

    def start(self) -> None:
        """Start all clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> LoadResult:
        """Let all clients finish their request and return what they saw."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        versions: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        for seen in self._seen:
            versions.update(seen.versions)
            errors.update(seen.errors)
        sentences = tuple(f"{text} ({count} times)" for text, count in errors.most_common())
        return LoadResult(versions.total(), errors.total(), sentences, dict(versions))


def version(body: bytes) -> str:
    """Return the version that the demo app tells in its answer."""
    try:
        return str(json.loads(body)["version"])
    except (ValueError, KeyError, TypeError):
        return "unknown"


class _Client:
    def __init__(self, url: str, pause: float, seen: _Seen, stopping: threading.Event) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._path = parts.path or "/"
        self._url = url
        self._pause = pause
        self._seen = seen
        self._stopping = stopping
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            self._request()
            due = max(due + self._pause, time.monotonic())
            self._stopping.wait(due - time.monotonic())
        self._close()

    def _request(self) -> None:
        try:
            connection = self._connected()
            connection.request("GET", self._path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._close()
            self._seen.errors[f"{self._url}: {type(error).__name__}: {error}"] += 1
            return
        if answer.status != http.client.OK:
            self._seen.errors[f"{self._url}: HTTP {answer.status} {body[:80]!r}"] += 1
            return
        self._seen.versions[version(body)] += 1

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
