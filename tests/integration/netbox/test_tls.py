"""A NetBox behind TLS: its certificate is checked, against the machine's authorities or a CA file."""

from __future__ import annotations

import ssl
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.netbox import standin

from drcloud.cmdb.base import now
from drcloud.cmdb.netbox.client import Access, Client
from drcloud.errors import UnreachableError


def certified(directory: Path, address: str) -> Path:
    """Make a certificate for an address that is its own authority, and its key; return its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "netbox")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "netbox.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def context(file: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(file)
    return made


def test_a_ca_file_is_trusted(tmp_path: Path) -> None:
    file = certified(tmp_path, "127.0.0.1")
    with (
        standin.serving(context(file)) as server,
        Client(Access.make(server.url, standin.TOKEN, file)) as client,
    ):
        assert client.get("status")["netbox-version"] == standin.VERSION


@pytest.mark.parametrize(("address", "known"), [("127.0.0.1", False), ("192.0.2.1", True)])
def test_a_certificate_of_somebody_else_is_refused_at_once(tmp_path: Path, address: str, known: bool) -> None:
    file = certified(tmp_path, address)
    waited: list[float] = []
    with standin.serving(context(file)) as server:
        access = Access.make(server.url, standin.TOKEN, file if known else None)
        with (
            Client(access, waited.append) as client,
            pytest.raises(UnreachableError, match=r"status cannot be read: .*CERTIFICATE_VERIFY_FAILED"),
        ):
            client.get("status")
        assert server.asked == []
    assert waited == []
