"""The demo app: tells its version and host, and fails on demand. Standard library only.

Settings come from the environment, all optional:

=============  ==========================================================================================
START_DELAY    seconds before the app listens (a slow start)
FAIL_HEALTH    ``1``: /healthz answers 503; a number of seconds larger than 1: from then on
CRASH_AFTER    seconds after which the process dies with exit code 3
SLOW           seconds that every answer of / takes
DRAIN          seconds after SIGTERM in which requests in flight may finish (8)
=============  ==========================================================================================
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

VERSION = os.environ.get("VERSION", "unknown")
HOST = os.environ.get("DRCLOUD_HOST") or socket.gethostname()
SLOT = os.environ.get("DRCLOUD_SLOT", "")
PORT = int(os.environ.get("PORT", "8080"))
BEGUN = time.monotonic()
# Bytes of a body that are read.
LONGEST = 1024 * 1024
# What both ends of a websocket know (RFC 6455, 1.3).
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def setting(name: str, default: float = 0.0) -> float:
    """Return a number from the environment; a malformed one stops the app with a sentence."""
    text = os.environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        sys.exit(f"demo: {name}={text!r} is not a number")


SLOW = setting("SLOW")
FAIL_HEALTH = setting("FAIL_HEALTH")
DRAIN = setting("DRAIN", 8.0)


class Server(ThreadingHTTPServer):
    """Counts the requests in flight, so that a stop can wait for them."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        """Listen on all addresses, IPv6 where there is any."""
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        self.in_flight = 0
        self.idle = threading.Condition()
        self.stopping = threading.Event()
        super().__init__(("", PORT), Handler)

    def server_bind(self) -> None:
        """Take IPv4 connections on an IPv6 socket too."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def stop(self, *_signal: object) -> None:
        """Stop taking connections; called by SIGTERM and SIGINT."""
        self.stopping.set()
        threading.Thread(target=self.shutdown).start()

    def drain(self) -> bool:
        """Wait for the requests in flight; return whether all of them finished."""
        with self.idle:
            return self.idle.wait_for(lambda: self.in_flight == 0, timeout=DRAIN)


class Handler(BaseHTTPRequestHandler):
    """The endpoints: / (GET and POST) /healthz /slow?seconds=N /hold /socket."""

    protocol_version = "HTTP/1.1"
    server: Server
    # A keep-alive connection that says nothing for so many seconds is closed.
    timeout = 60

    def setup(self) -> None:
        """Send small answers at once."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        """Route a request and count it while it lasts."""
        self.counted(self.route)

    def do_POST(self) -> None:
        """Take what is sent and answer like GET."""
        self.counted(self.take)

    def counted(self, answer: Callable[[], None]) -> None:
        """Count a request while it is being answered, so that a stop waits for it."""
        with self.server.idle:
            self.server.in_flight += 1
        try:
            answer()
        finally:
            with self.server.idle:
                self.server.in_flight -= 1
                self.server.idle.notify_all()

    def do_HEAD(self) -> None:
        """Answer like GET, without the body."""
        self.do_GET()

    def take(self) -> None:
        """Read a body and tell its length."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            self.answer(413 if length.isdigit() else 411, {"error": f"send up to {LONGEST} bytes"})
            return
        body = self.rfile.read(int(length))
        self.answer(200, {"app": "demo", "version": VERSION, "host": HOST, "bytes": len(body)})

    def route(self) -> None:
        """Answer one request."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if url.path == "/":
            time.sleep(SLOW)
            self.answer(200, {"app": "demo", "version": VERSION, "host": HOST, "slot": SLOT})
        elif url.path == "/healthz":
            self.health()
        elif url.path == "/slow":
            seconds = number(query.get("seconds", ["1"])[0])
            if seconds is None:
                self.answer(400, {"error": "seconds must be a number from 0 to 300"})
                return
            time.sleep(seconds)
            self.answer(200, {"slept": seconds, "version": VERSION})
        elif url.path == "/hold":
            self.hold()
        elif url.path == "/socket":
            self.socket()
        else:
            self.answer(404, {"error": f"no such page: {url.path}"})

    def health(self) -> None:
        """Tell whether the app works: not while it stops, and not when told to fail."""
        age = time.monotonic() - BEGUN
        failing = FAIL_HEALTH == 1 or (FAIL_HEALTH > 1 and age >= FAIL_HEALTH)
        if failing or self.server.stopping.is_set():
            self.answer(503, {"status": "failing" if failing else "stopping", "version": VERSION})
        else:
            # This request is not one of those in flight that a stop would wait for.
            others = self.server.in_flight - 1
            self.answer(200, {"status": "ok", "version": VERSION, "age": round(age, 1), "in_flight": others})

    def hold(self) -> None:
        """Keep the connection open, one line a second, until the app stops or the client leaves."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        stopped = False
        # A connection that was taken gets a line, also when the app is told to stop in the same moment.
        while not stopped:
            self.wfile.write(f"{VERSION} {time.time():.0f}\n".encode())
            self.wfile.flush()
            stopped = self.server.stopping.wait(1.0)

    def socket(self) -> None:
        """Be a websocket (RFC 6455) that tells the version twice a second until the app stops."""
        key = self.headers.get("Sec-WebSocket-Key")
        if self.headers.get("Upgrade", "").lower() != "websocket" or not key:
            self.answer(400, {"error": "this is a websocket: ask for an upgrade"})
            return
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accepted = hashlib.sha1((key + WEBSOCKET).encode(), usedforsecurity=False).digest()
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accepted).decode())
        self.end_headers()
        self.close_connection = True
        text = VERSION.encode()
        while not self.server.stopping.wait(0.5):
            self.wfile.write(bytes((0x81, len(text))) + text)
        # Going away: the client may connect again.
        self.wfile.write(b"\x88\x02\x03\xe9")

    def answer(self, status: int, body: dict[str, object]) -> None:
        """Send a JSON document; while the app stops, the connection ends with it."""
        content = json.dumps(body).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if self.server.stopping.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log what is not a health check that succeeded."""
        if not (self.path == "/healthz" and code == 200):
            super().log_request(code, size)  # type: ignore[arg-type]

    def handle(self) -> None:
        """Treat a client that left as a client that left."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True


def number(text: str) -> float | None:
    """Return a number of seconds between 0 and 300, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 300 else None


def crash() -> None:
    """Die as a broken app does: at once, without finishing anything."""
    print("demo: crashing as told by CRASH_AFTER", flush=True)
    os._exit(3)


def main() -> int:
    """Serve until told to stop; 0 when every request in flight was finished."""
    # Until it listens the app has nothing to finish: a stop during a slow start is immediate.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(setting("START_DELAY"))
    crash_after = setting("CRASH_AFTER")
    if crash_after:
        timer = threading.Timer(crash_after, crash)
        timer.daemon = True
        timer.start()
    server = Server()
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    print(f"demo: version {VERSION} listens on {HOST}:{PORT}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    finished = server.drain()
    print(f"demo: stopped, {server.in_flight} requests cut off", flush=True)
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
