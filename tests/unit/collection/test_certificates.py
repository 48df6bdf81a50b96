"""Server certificates: when one is good, and what a new one is like."""

from __future__ import annotations

import datetime

import pytest

pytest.importorskip("cryptography")

from cryptography import x509

from ansible_collections.dianrong.cloud.plugins.modules import tls_certificate
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from drcloud.lab import material

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
WISH = _certificates.Wish(
    ("10.90.0.31", "infra-01"), datetime.timedelta(days=397), datetime.timedelta(days=30)
)


@pytest.fixture
def authority(tmp_path):
    return make(tmp_path, "ca")


def make(tmp_path, name):
    directory = tmp_path / name
    material.ensure_ca(directory, name)
    texts = (directory / "ca.pem").read_text(), (directory / "ca.key").read_text()
    return _certificates.load_authority(*texts)


def objection(pem, authority, wish=WISH, now=NOW):
    return _certificates.objection(tls_certificate.certificate_in(pem), authority, wish, now)


def test_a_new_certificate_is_good(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    assert objection(pem, authority) is None
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert _certificates.names_of(certificate) == {"10.90.0.31", "infra-01"}
    assert certificate.not_valid_after_utc == NOW + WISH.lifetime


def test_the_host_shows_the_certificate_without_its_key(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    shown = tls_certificate.certificate_in(pem)
    assert shown.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in shown
    assert tls_certificate.certificate_in(shown) is None


def test_a_certificate_about_to_expire_is_replaced(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    assert objection(pem, authority, now=NOW + datetime.timedelta(days=366)) is None
    assert "it expires on" in objection(pem, authority, now=NOW + datetime.timedelta(days=368))


def test_a_certificate_for_other_names_is_replaced(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    assert "it is for 10.90.0.31, infra-01" in objection(pem, authority, WISH._replace(names=("10.90.0.32",)))


def test_a_certificate_of_another_ca_is_replaced(authority, tmp_path):
    pem = _certificates.issue(make(tmp_path, "other"), WISH, NOW)
    assert objection(pem, authority) == "another CA issued it"


def test_none_and_a_broken_one_are_replaced(authority):
    assert objection("", authority) == "there is none"
    broken = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----"
    assert objection(broken, authority) == "it cannot be read"


def test_a_certificate_never_outlives_its_ca(authority):
    pem = _certificates.issue(authority, WISH._replace(lifetime=datetime.timedelta(days=36500)), NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [("nonsense", None, "no certificate in PEM"), (None, "nonsense", "no unencrypted private key")],
)
def test_an_unusable_ca_is_told_apart(tmp_path, certificate, key, message):
    material.ensure_ca(tmp_path, "ca")
    texts = [(tmp_path / "ca.pem").read_text(), (tmp_path / "ca.key").read_text()]
    with pytest.raises(ValueError, match=message):
        _certificates.load_authority(certificate or texts[0], key or texts[1])


def test_a_key_of_another_ca_is_refused(tmp_path):
    for name in ("a", "b"):
        material.ensure_ca(tmp_path / name, name)
    with pytest.raises(ValueError, match="does not belong"):
        _certificates.load_authority((tmp_path / "a/ca.pem").read_text(), (tmp_path / "b/ca.key").read_text())
