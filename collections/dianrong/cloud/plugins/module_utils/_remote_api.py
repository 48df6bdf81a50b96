# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An unauthenticated handshake with a Docker Remote API: who may speak to it is shown, not read.

Used on the host for its own listeners and on the controller as another machine. Standard library only.
"""

from __future__ import annotations

import json
import socket
import ssl

# What a handshake can end with.
OPEN = "open"  # the Engine API answered somebody without credentials
OPEN_TLS = "open-tls"  # the same, behind TLS that asks for no client certificate
CERTIFICATE_REQUIRED = "certificate-required"
DENIED = "denied"  # an Engine API that answers 401 or 403
NOT_DOCKER = "not-docker"
CLOSED = "closed"  # the host refused the connection
UNREACHABLE = "unreachable"  # no answer at all: filtered, or no route from here
UNDECIDED = "undecided"

EXPOSED = (OPEN, OPEN_TLS)
LIMIT = 65536
REFUSAL_SECONDS = 1.0
REQUEST = (
    b"GET /version HTTP/1.1\r\nHost: docker\r\nUser-Agent: drcloud-compliance\r\nConnection: close\r\n\r\n"
)
# What the TLS stack of Go says to a client that brings no certificate (TLS 1.2 and 1.3).
CERTIFICATE_ALERTS = ("certificate required", "certificate_required", "bad certificate", "bad_certificate")


class NoConnection(OSError):  # noqa: N818 (a state of the world, not a mistake)
    """No connection came about, and nobody refused one either."""


def handshake(address, port, timeout=3.0):
    """Speak to a TCP listener as a stranger would; return a plain dictionary, never raise.

    C(state) is one of the constants above; C(engine) and C(api) are what an exposed engine said of itself.
    """
    outcome = {
        "address": address,
        "port": port,
        "state": UNDECIDED,
        "detail": "",
        "engine": None,
        "api": None,
    }
    try:
        answer = _ask(address, port, timeout)
        if answer and not _speaks_tls(answer):
            outcome.update(read_answer(answer, OPEN))
        else:
            outcome.update(read_answer(_ask(address, port, timeout, secured=True), OPEN_TLS))
    except OSError as error:
        outcome.update(read_error(error))
    return outcome


def read_answer(answer, exposed):
    """Tell what the bytes of an HTTP answer say about the server; C(exposed) is the state of an open API."""
    head, _dummy, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not lines[0].startswith("HTTP/") or len(words) < 2:
        return {"state": UNDECIDED if not answer else NOT_DOCKER, "detail": "no HTTP answer"}
    headers = {line.partition(":")[0].strip().lower(): line.partition(":")[2].strip() for line in lines[1:]}
    version = _version(body)
    server = headers.get("server", "")
    if "ApiVersion" not in version and "api-version" not in headers and "docker" not in server.lower():
        return {"state": NOT_DOCKER, "detail": f"HTTP status {words[1]}, not an Engine API"}
    if words[1] in ("401", "403"):
        return {"state": DENIED, "detail": f"the Engine API answered HTTP status {words[1]}"}
    return {
        "state": exposed,
        "detail": f"the Engine API answered HTTP status {words[1]} to a client without credentials",
        "engine": version.get("Version") or server,
        "api": version.get("ApiVersion") or headers.get("api-version"),
    }


def read_error(error):
    """Tell what a failed connection says about the listener."""
    if isinstance(error, ssl.SSLError):
        text = str(error).lower()
        if any(alert in text for alert in CERTIFICATE_ALERTS):
            return {"state": CERTIFICATE_REQUIRED, "detail": "TLS demands a client certificate"}
        return {"state": UNDECIDED, "detail": f"TLS: {error}"}
    if isinstance(error, ConnectionRefusedError):
        return {"state": CLOSED, "detail": "connection refused"}
    if isinstance(error, NoConnection):
        return {"state": UNREACHABLE, "detail": str(error)}
    return {"state": UNDECIDED, "detail": str(error)}


def _version(body):
    # A chunked body carries its length before the document.
    start, end = body.find(b"{"), body.rfind(b"}")
    try:
        document = json.loads(body[start : end + 1].decode("utf-8")) if start >= 0 else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _speaks_tls(answer):
    return answer[:2] == b"\x15\x03" or b"HTTP request to an HTTPS server" in answer


def _ask(address, port, timeout, secured=False):
    with _connect(address, port, timeout) as connection:
        if not secured:
            return _exchange(connection)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname=address) as wrapped:
            _hear_refusal(wrapped, timeout)
            return _exchange(wrapped)


def _connect(address, port, timeout):
    try:
        return socket.create_connection((address, port), timeout)
    except ConnectionRefusedError:
        raise
    except OSError as error:
        raise NoConnection(str(error) or "timed out") from error


def _hear_refusal(connection, timeout):
    """Give a TLS 1.3 server time to refuse: it does so after the handshake, and a request would drown it."""
    if connection.version() != "TLSv1.3":
        return
    connection.settimeout(min(timeout, REFUSAL_SECONDS))
    try:
        connection.recv(1)
    except ssl.SSLError:
        raise
    except (socket.timeout, ConnectionError):
        pass
    connection.settimeout(timeout)


def _exchange(connection):
    """Return what the server answered; nothing when it stays silent or hangs up at once."""
    connection.sendall(REQUEST)
    answer = b""
    while len(answer) < LIMIT:
        try:
            block = connection.recv(LIMIT)
        except ssl.SSLError:
            raise
        except (socket.timeout, ConnectionError):
            break
        if not block:
            break
        answer += block
    return answer
