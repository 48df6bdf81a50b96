"""Handshakes with real listeners on loopback: what each of them is told apart as."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.dianrong.cloud.plugins.module_utils import _remote_api as remote

BODY = b'{"Version":"20.10.24","ApiVersion":"1.41"}'
DOCKER = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2a\r\n" + BODY + b"\r\n0\r\n\r\n"
HTTPS_ONLY = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
Serve = Callable[..., int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Listen on a port of loopback and answer every connection with fixed bytes."""
    listeners: list[socket.socket] = []

    def start(answer: bytes, context: ssl.SSLContext | None = None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_answer, args=(listener, answer, context), daemon=True).start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.close()


def _answer(listener: socket.socket, answer: bytes, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                _one(connection, answer, context)
            except OSError:
                continue


def _one(connection: socket.socket, answer: bytes, context: ssl.SSLContext | None) -> None:
    if context is None:
        connection.recv(65536)
        connection.sendall(answer)
        return
    if connection.recv(3, socket.MSG_PEEK) == b"GET":
        # Go's TLS server answers plain HTTP with a sentence.
        connection.recv(65536)
        connection.sendall(HTTPS_ONLY)
        return
    with context.wrap_socket(connection, server_side=True) as secured:
        secured.recv(65536)
        secured.sendall(answer)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "engine")])
    moment = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, moment, moment + datetime.timedelta(days=1))
    ).sign(key, hashes.SHA256())
    path = tmp_path / "pair.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(path)
    made.load_verify_locations(path)
    return made


def shake(port: int) -> tuple[str, str | None]:
    outcome = remote.handshake("127.0.0.1", port, timeout=2.0)
    assert outcome["address"] == "127.0.0.1"
    assert outcome["port"] == port
    return outcome["state"], outcome["engine"]


@pytest.mark.parametrize(
    ("answer", "state", "engine"),
    [
        (DOCKER, remote.OPEN, "20.10.24"),
        (CHUNKED, remote.OPEN, "20.10.24"),
        (
            b"HTTP/1.1 400 Bad Request\r\nServer: Docker/28.0 (linux)\r\n\r\n",
            remote.OPEN,
            "Docker/28.0 (linux)",
        ),
        (b"HTTP/1.1 403 Forbidden\r\nApi-Version: 1.41\r\n\r\n", remote.DENIED, None),
        (b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nhello", remote.NOT_DOCKER, None),
        (b"HTTP/1.1 200 OK\r\n\r\n{broken", remote.NOT_DOCKER, None),
        (b"-ERR unknown command 'GET'\r\n", remote.NOT_DOCKER, None),
        (b"", remote.UNDECIDED, None),
    ],
)
def test_plain(serve: Serve, answer: bytes, state: str, engine: str | None) -> None:
    assert shake(serve(answer)) == (state, engine)


def test_tls_for_anybody(serve: Serve, context: ssl.SSLContext) -> None:
    assert shake(serve(DOCKER, context)) == (remote.OPEN_TLS, "20.10.24")


def test_tls_that_demands_a_certificate(serve: Serve, context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    assert shake(serve(DOCKER, context))[0] == remote.CERTIFICATE_REQUIRED


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert shake(port) == (remote.CLOSED, None)


def test_a_listener_that_never_answers(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = remote.handshake("127.0.0.1", listener.getsockname()[1], timeout=0.2)
    assert outcome["state"] == remote.UNDECIDED


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (remote.NoConnection("timed out"), remote.UNREACHABLE),
        (ConnectionRefusedError(), remote.CLOSED),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), remote.UNDECIDED),
        (ssl.SSLError(1, "[SSL: SSLV3_ALERT_BAD_CERTIFICATE] bad certificate"), remote.CERTIFICATE_REQUIRED),
    ],
)
def test_errors(error: OSError, state: str) -> None:
    assert remote.read_error(error)["state"] == state
