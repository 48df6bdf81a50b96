"""What a doctor visits: a CMDB, SSH servers and a registry with TLS, all on loopback and all real."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drcloud.cmdb import importer
from drcloud.cmdb.store import Store
from drcloud.doctor.context import Context, Site


@dataclass
class SshHost:
    """A server on loopback: where it listens, its public key, and what it answers to commands."""

    address: str
    port: int
    key: str
    answers: dict[str, tuple[str, int]] = field(default_factory=dict)


class SshServers:
    """SSH servers of one event loop in a thread; they let one key in and forward connections."""

    def __init__(self, authorized: Path) -> None:
        self._authorized = str(authorized)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[Any] = []
        self._thread.start()

    def start(self, address: str) -> SshHost:
        """Start a server with a key of its own."""
        key = asyncssh.generate_private_key("ssh-ed25519")
        host = SshHost(address, 0, key.export_public_key().decode().split()[1])

        def serve(process: Any) -> None:
            text, code = host.answers.get(process.command, ("", 0 if process.command == "true" else 127))
            process.stdout.write(text)
            process.exit(code)

        async def listen() -> Any:
            return await asyncssh.listen(
                address,
                0,
                server_host_keys=[key],
                authorized_client_keys=self._authorized,
                process_factory=serve,
                server_factory=_Forwarding,
            )

        server = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(60)
        self._servers.append(server)
        host.port = server.get_port()
        return host

    def stop(self) -> None:
        """Close all servers and end the thread."""
        for server in self._servers:
            self._loop.call_soon_threadsafe(server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)


class _Forwarding(asyncssh.SSHServer):
    def connection_requested(self, *_: Any) -> bool:
        return True


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path / "id"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    (tmp_path / "authorized").write_bytes(key.export_public_key())
    return path


@pytest.fixture
def servers(identity: Path) -> Iterator[SshServers]:
    running = SshServers(identity.with_name("authorized"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def empty_cmdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cmdb") / "empty.sqlite3"
    Store.create(f"sqlite:///{path}")
    return path


@pytest.fixture
def site(tmp_path: Path, identity: Path, empty_cmdb: Path) -> Callable[[dict[str, Any]], Context]:
    """Fill a CMDB with the sections given and return the context of a visit to it."""

    def make(sections: dict[str, Any]) -> Context:
        url = f"sqlite:///{tmp_path}/cmdb.sqlite3"
        path = tmp_path / "site.yml"
        prefixes = [{"cidr": "127.0.0.0/8"}]
        path.write_text(json.dumps({"drcloud": 1, "prefixes": prefixes, **sections}), encoding="utf-8")
        copy = tmp_path / "cmdb.sqlite3"
        if not copy.exists():
            shutil.copy(empty_cmdb, copy)
        importer.import_files(Store.open(url), importer.Request((path,)))
        return Context(Site("site.cmdb.yml", url, str(identity)), seconds=30.0)

    return make


def machine(name: str, server: SshHost, via: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the import entry of a host that a server stands for."""
    ssh = {"user": "ops", "port": server.port} | ({"via": via} if via else {})
    entry = {"name": name, "role": "docker", "state": "active", "address": server.address, "ssh": ssh}
    return {**entry, "host_keys": {"ssh-ed25519": server.key}, **more}


@dataclass(frozen=True)
class Authority:
    """A certificate authority, and a certificate of it for loopback."""

    ca: Path
    served: Path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("tls"))


def new_authority(directory: Path) -> Authority:
    """Make an authority and a certificate for 127.0.0.1."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drCloud test CA")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), ca_key, [x509.BasicConstraints(True, None)])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    served = _certificate(name, ca_name, key.public_key(), ca_key, [address])
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "served.pem").write_bytes(private + served.public_bytes(pem))
    return Authority(directory / "ca.pem", directory / "served.pem")


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: Any, signer: Any, extensions: list[Any]
) -> Any:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(signer, hashes.SHA256())


class _Registry(BaseHTTPRequestHandler):
    """The root of the registry API: basic credentials, or a token that they buy."""

    TOKEN = "t0ken"

    def do_GET(self) -> None:
        kind = self.server.kind  # type: ignore[attr-defined]
        given = self.headers.get("Authorization", "")
        basic = "Basic " + base64.b64encode("drcloud:右".encode()).decode()
        if self.path.startswith("/token"):
            granted = given == basic and "service=registry" in self.path
            self._say(200, json.dumps({"token": self.TOKEN})) if granted else self._say(401, "")
        elif kind == "web":
            self._say(404, "nothing here")
        elif given == (f"Bearer {self.TOKEN}" if kind == "token" else basic):
            self._say(200, "{}")
        else:
            host = self.headers["Host"]
            bearer = f'Bearer realm="https://{host}/token",service="registry"'
            self._say(401, "", bearer if kind == "token" else 'Basic realm="registry"')

    def _say(self, code: int, text: str, challenge: str = "") -> None:
        self.send_response(code)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def registry(authority: Authority) -> Iterator[Callable[[str], str]]:
    """Start registries; each call gives the endpoint of one."""
    running = []

    def start(kind: str) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
        server.kind = kind  # type: ignore[attr-defined]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.served)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()
