# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates from a CA of our own: is the one in use good, and if not, a new one."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
    CRYPTOGRAPHY_ERROR = None
except ImportError as error:
    CRYPTOGRAPHY_ERROR = error


class Authority(t.NamedTuple):
    """A CA: its certificate and its private key."""

    certificate: x509.Certificate
    key: t.Any


class Wish(t.NamedTuple):
    """What a certificate is for and how long it is good; ``usages`` are of ``USAGES``."""

    names: tuple[str, ...]
    lifetime: datetime.timedelta
    renew_before: datetime.timedelta
    usages: tuple[str, ...] = ("server",)
    rotate: bool = False


class Facts(t.NamedTuple):
    """What the CMDB keeps of a certificate; the fingerprint is SHA-256 in hexadecimal digits."""

    subject: str
    issuer: str
    not_after: str
    fingerprint: str


def load_authority(certificate: str, key: str, now: datetime.datetime) -> Authority:
    """Return the CA of two texts in PEM; ValueError says what makes it unusable."""
    loaded = load_trusted(certificate, now)
    try:
        private = serialization.load_pem_private_key(key.encode(), password=None)
    except (TypeError, ValueError) as error:
        raise ValueError("the CA's key is no unencrypted private key in PEM") from error
    if private.public_key() != loaded.public_key():
        raise ValueError("the CA's key does not belong to the CA's certificate")
    return Authority(loaded, private)


def load_trusted(pem: str, now: datetime.datetime) -> x509.Certificate:
    """Return the certificate of a CA that can be trusted now; ValueError says why it cannot."""
    try:
        loaded = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ValueError("the CA's certificate is no certificate in PEM") from error
    if loaded.not_valid_after_utc <= now:
        raise ValueError(f"the CA's certificate expired on {loaded.not_valid_after_utc:%Y-%m-%d}")
    if loaded.not_valid_before_utc > now:
        raise ValueError(f"the CA's certificate is not good before {loaded.not_valid_before_utc:%Y-%m-%d}")
    try:
        signs = loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise ValueError(f"{loaded.subject.rfc4514_string()} is not the certificate of a CA")
    return loaded


def check_time(pem: str, now: datetime.datetime) -> None:
    """Refuse a text that is no certificate, or holds one that expired; ValueError says which."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ValueError("it is no certificate in PEM") from error
    for one in found:
        if one.not_valid_after_utc <= now:
            raise ValueError(f"{one.subject.rfc4514_string()} expired on {one.not_valid_after_utc:%Y-%m-%d}")


def load_given(pem: str, authority: Authority, wish: Wish, now: datetime.datetime) -> str:
    """Return a certificate with its key that somebody else had made; ValueError says why it is no good."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        private = serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError) as error:
        raise ValueError("it is no certificate with its unencrypted private key in PEM") from error
    if private.public_key() != certificate.public_key():
        raise ValueError("its key does not belong to it")
    if certificate.not_valid_after_utc <= now:
        raise ValueError(f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    # Nobody but its maker can renew it: that it is about to expire is no reason to refuse it.
    why = objection(pem, authority, wish._replace(renew_before=datetime.timedelta(), rotate=False), now)
    if why:
        raise ValueError(why)
    return pem


def facts(pem: str) -> Facts:
    """Return what the CMDB keeps of a certificate."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return Facts(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        certificate.not_valid_after_utc.isoformat(),
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def objection(pem: str | None, authority: Authority, wish: Wish, now: datetime.datetime) -> str | None:
    """Return why the certificate in use has to be replaced; None when it is good. Pure."""
    if not pem:
        return "there is none"
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return "it cannot be read"
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, TypeError, ValueError):
        return "another CA issued it"
    if names_of(certificate) != {str(_general(name).value) for name in wish.names}:
        return f"it is for {', '.join(sorted(names_of(certificate))) or 'nobody'}"
    if usages_of(certificate) != set(wish.usages):
        return f"it is made for the use of {' and '.join(sorted(usages_of(certificate))) or 'nobody'}"
    if _expires(certificate.not_valid_after_utc, authority.certificate.not_valid_after_utc, wish, now):
        return f"it expires on {certificate.not_valid_after_utc:%Y-%m-%d}"
    return "a rotation was asked for" if wish.rotate else None


def _expires(
    ends: datetime.datetime, authority_ends: datetime.datetime, wish: Wish, now: datetime.datetime
) -> bool:
    """Tell whether a new certificate is due, and would last longer than the one that ends then."""
    return ends <= now or (ends - wish.renew_before <= now and ends < authority_ends)


def ending(authority: Authority, wish: Wish, now: datetime.datetime) -> str | None:
    """Return what to say of a CA that ends before a certificate of it would be renewed; None for others."""
    ends = authority.certificate.not_valid_after_utc
    if ends - wish.renew_before > now:
        return None
    name = authority.certificate.subject.rfc4514_string()
    return f"{name} ends on {ends:%Y-%m-%d}, and with it all that it signs: give it a successor"


def check_lifetime(wish: Wish) -> None:
    """Refuse a lifetime after which a certificate would be due for renewal when it is made (ValueError)."""
    if wish.lifetime <= wish.renew_before:
        raise ValueError(
            f"days {wish.lifetime.days} leaves nothing of a certificate, for it is renewed "
            f"{wish.renew_before.days} days before it expires: give it more days than renew_before_days"
        )


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the names and addresses that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in extension.value}


def usages_of(certificate: x509.Certificate) -> set[str]:
    """Return whether a server, a client or both may use a certificate."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return set()
    return {usage for usage, identifier in USAGES.items() if identifier in extension.value}


def issue(authority: Authority, wish: Wish, now: datetime.datetime) -> str:
    """Return a new certificate and its private key (P-256), in one PEM text."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(authority, wish, now).public_key(key.public_key())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Keys of the Edwards curves bring their own digest.
    own_digest = isinstance(authority.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    signed = certificate.add_extension(identifier, critical=False).sign(
        authority.key, None if own_digest else hashes.SHA256()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (signed.public_bytes(serialization.Encoding.PEM) + private).decode()


def _builder(authority: Authority, wish: Wish, now: datetime.datetime) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.names[0])])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject)
        .serial_number(x509.random_serial_number())
        # Clocks of hosts may be a little behind ours.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(min(now + wish.lifetime, authority.certificate.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([USAGES[one] for one in wish.usages]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wish.names]), critical=False)
        .add_extension(authority_key, critical=False)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
