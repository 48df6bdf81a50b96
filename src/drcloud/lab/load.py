"""Steady traffic through the load balancers, counted: what a roll costs its users.

One thread and one kept-alive connection per client; a request counts as failed when its answer is not
200 or does not come. Nothing is tried twice: what the client saw is what is counted. POSTs, which a load
balancer may not repeat either, are counted apart. Websockets are counted by how often one was opened: one
that ends is opened again, and only the opening can fail.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedRWPair
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 10.0
SOCKET = "websocket"
# The first byte of a frame that is a whole text.
TEXT = 0x81
BODY = b"a line that is told once\n"


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the clients saw. ``errors`` are sentences, the first of each kind with its URL.

    ``at`` has for each URL how many requests, POSTs among them, were answered and how many failed.
    """

    served: int
    failed: int
    errors: tuple[str, ...]
    by_version: dict[str, int]
    posted: int = 0
    failed_posts: int = 0
    sockets: int = 0
    failed_sockets: int = 0
    at: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Return how many of all were not answered as they should."""
        return self.failed + self.failed_posts + self.failed_sockets


@dataclass(frozen=True, slots=True)
class Kind:
    """What a client asks: at a path of the demo app, so many times a second and URL, by so many clients.

    ``life`` is for how many seconds a websocket is listened to before its client leaves and comes again.
    """

    method: str = "GET"
    path: str = ""
    rate: float = 50.0
    clients: int = 2
    life: float = math.inf


def steady(rate: float = 50.0) -> tuple[Kind, ...]:
    """Return short GETs and nothing else."""
    return (Kind(rate=rate),)


def sockets() -> tuple[Kind, ...]:
    """Return one websocket for each URL, which is opened again as soon as it ends."""
    return (Kind(SOCKET, path="socket", rate=5.0, clients=1),)


def mixed(rate: float = 50.0) -> tuple[Kind, ...]:
    """Return short GETs, with answers that take a second and a half, POSTs, and websockets among them."""
    slow = Kind(path="slow?seconds=1.5", rate=2.0, clients=3)
    visits = Kind(SOCKET, path="socket", rate=2.0, clients=1, life=1.0)
    return (*steady(rate), slow, Kind("POST", rate=rate / 4, clients=1), visits)


@dataclass(slots=True)
class _Seen:
    url: str
    kind: Kind
    versions: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


class Load:
    """Requests of each kind to each URL, over connections that are kept alive, from start to stop."""

    def __init__(self, urls: Sequence[str], kinds: Sequence[Kind] = steady()) -> None:
        self._stopping = threading.Event()
        self._seen: list[_Seen] = []
        self._threads: list[threading.Thread] = []
        clients = [(url, kind) for url in urls for kind in kinds for _ in range(kind.clients)]
        for url, kind in clients:
            seen = _Seen(url, kind)
            self._seen.append(seen)
            client = (_Socket if kind.method == SOCKET else _Client)(url, seen, self._stopping)
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
        got = [seen for seen in self._seen if seen.kind.method == "GET"]
        posted = [seen for seen in self._seen if seen.kind.method == "POST"]
        opened = [seen for seen in self._seen if seen.kind.method == SOCKET]
        versions, errors = _sum(seen.versions for seen in got), _sum(seen.errors for seen in self._seen)
        return LoadResult(
            served=versions.total(),
            failed=sum(seen.errors.total() for seen in got),
            errors=tuple(f"{text} ({count} times)" for text, count in errors.most_common()),
            by_version=dict(versions),
            posted=sum(seen.versions.total() for seen in posted),
            failed_posts=sum(seen.errors.total() for seen in posted),
            sockets=sum(seen.versions.total() for seen in opened),
            failed_sockets=sum(seen.errors.total() for seen in opened),
            at={url: _at([*got, *posted], url) for url in {seen.url: None for seen in self._seen}},
        )


def _at(seen: Sequence[_Seen], url: str) -> tuple[int, int]:
    there = [one for one in seen if one.url == url]
    return sum(one.versions.total() for one in there), sum(one.errors.total() for one in there)


def _sum(counts: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total


def version(body: bytes) -> str:
    """Return the version that the demo app tells in its answer."""
    try:
        return str(json.loads(body)["version"])
    except (ValueError, KeyError, TypeError):
        return "unknown"


class _Client:
    def __init__(self, url: str, seen: _Seen, stopping: threading.Event) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._path = (parts.path or "/") + seen.kind.path
        self._url = f"{seen.kind.method} {url}{seen.kind.path}"
        self._pause = seen.kind.clients / seen.kind.rate
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
            method = self._seen.kind.method
            connection.request(method, self._path, body=BODY if method == "POST" else None)
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


class _Socket(_Client):
    """A websocket (RFC 6455): what it is told is read until it ends."""

    def _request(self) -> None:
        try:
            with socket.create_connection(self._address, timeout=TIMEOUT) as connection:
                stream = connection.makefile("rwb")
                status = self._open(stream)
                if status != http.client.SWITCHING_PROTOCOLS:
                    self._seen.errors[f"{self._url}: HTTP {status}"] += 1
                    return
                self._seen.versions[_payload(stream).decode(errors="replace")] += 1
                leaves = time.monotonic() + self._seen.kind.life
                while not self._stopping.is_set() and time.monotonic() < leaves and _payload(stream):
                    pass
        except (OSError, ValueError) as error:
            self._seen.errors[f"{self._url}: {type(error).__name__}: {error}"] += 1

    def _open(self, stream: BufferedRWPair[Any, Any]) -> int:
        """Ask for a websocket and return the status of the answer."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {self._path} HTTP/1.1", f"Host: {self._address[0]}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "", ""]
        stream.write("\r\n".join(lines).encode())
        stream.flush()
        _version, status, *_words = stream.readline().split() or (b"", b"0")
        while stream.readline().strip():
            pass
        return int(status)


def _payload(stream: BufferedRWPair[Any, Any]) -> bytes:
    """Return what the next short frame of text says; nothing where the websocket ends."""
    try:
        head = stream.read(2)
    except ConnectionError:
        return b""
    if len(head) < 2 or head[0] != TEXT:
        return b""
    return stream.read(head[1])
