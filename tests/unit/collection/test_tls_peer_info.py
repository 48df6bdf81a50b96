"""What a host sees of a server's certificate: good, refused with the reason, or nobody there."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.dianrong.cloud.plugins.modules import tls_peer_info
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def authority(name):
    """Return a CA's certificate and key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 100 * DAY)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


OURS, THEIRS = authority("ours"), authority("theirs")


@pytest.fixture
def serve(tmp_path):
    """Serve TLS with a certificate for ``log-01``: ``port = serve(OURS)``."""
    with contextlib.ExitStack() as stack:

        def start(signer, at=NOW, mutual=False):
            wish = _certificates.Wish(("log-01",), 10 * DAY, DAY)
            pem = tmp_path / "server.pem"
            pem.write_text(_certificates.issue(_certificates.load_authority(*signer, at), wish, at))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            if mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=signer[0])
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=answer, args=(server, context), daemon=True).start()
            return server.getsockname()[1]

        yield start


def answer(server, context):
    """Shake hands with whoever comes until the server is closed."""
    with contextlib.suppress(OSError):
        while True:
            plain, _ = server.accept()
            with contextlib.suppress(OSError):
                context.wrap_socket(plain, server_side=True).close()


def look(port, name="log-01"):
    return tls_peer_info.look("127.0.0.1", port, name, OURS[0], 5)


def test_a_certificate_of_the_ca_for_the_name_is_good(serve):
    assert look(serve(OURS)) == ("good", None)


def test_a_server_that_wants_a_certificate_of_ours_shows_its_own_first(serve):
    assert look(serve(OURS, mutual=True)) == ("good", None)


def test_a_certificate_of_another_ca_is_refused(serve):
    state, reason = look(serve(THEIRS))
    assert state == "refused"
    assert "unable to get local issuer certificate" in reason


def test_another_ca_is_refused_also_by_a_server_that_wants_a_certificate(serve):
    assert look(serve(THEIRS, mutual=True))[0] == "refused"


def test_a_certificate_for_another_name_is_refused(serve):
    state, reason = look(serve(OURS), "log-02")
    assert state == "refused"
    assert "not valid for 'log-02'" in reason


def test_an_expired_certificate_is_refused(serve):
    state, reason = look(serve(OURS, at=NOW - 50 * DAY))
    assert (state, reason) == ("refused", "certificate has expired")


def test_what_speaks_no_tls_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def chat():
            connection, _ = server.accept()
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            connection.close()

        threading.Thread(target=chat, daemon=True).start()
        state, reason = look(server.getsockname()[1])
    assert state == "refused"
    assert "does not speak TLS" in reason


def test_nobody_there_is_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    state, reason = look(port)
    assert state == "silent"
    assert "refused" in reason
