"""Keys and secrets of a lab, made once and kept in its state directory."""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

_LIFETIME = datetime.timedelta(days=3650)


def write(path: Path, content: bytes, mode: int = 0o600) -> bool:
    """Write a file at once or not at all; return whether anything changed."""
    if path.is_file() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    temporary.chmod(mode)
    temporary.replace(path)
    return True


def ensure_ssh_key(directory: Path, comment: str) -> bool:
    """Make the controller's ed25519 key pair unless both halves are there."""
    private, public = directory / "id_ed25519", directory / "id_ed25519.pub"
    if private.is_file() and public.is_file():
        return False
    key = ed25519.Ed25519PrivateKey.generate()
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    # The public half last: it is the sign that the pair is complete.
    write(private, _pem(key, serialization.PrivateFormat.OpenSSH))
    write(public, line + f" {comment}\n".encode(), 0o644)
    return True


def ensure_ca(directory: Path, name: str) -> bool:
    """Make the lab's certificate authority (P-256, ten years) unless it is there."""
    certificate_file, key_file = directory / "ca.pem", directory / "ca.key"
    if certificate_file.is_file() and key_file.is_file():
        return False
    key = ec.generate_private_key(ec.SECP256R1())
    write(key_file, _pem(key, serialization.PrivateFormat.PKCS8))
    write(certificate_file, _certificate(key, name).public_bytes(serialization.Encoding.PEM), 0o644)
    return True


def ensure_password(path: Path) -> bool:
    """Make a random password unless there is one."""
    if path.is_file() and path.stat().st_size:
        return False
    return write(path, secrets.token_urlsafe(24).encode())


def _pem(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, form: serialization.PrivateFormat
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _certificate(key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
