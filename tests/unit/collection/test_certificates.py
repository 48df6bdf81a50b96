"""Certificates: when one is good, what a new one is like, and what no certificate can be made of."""

from __future__ import annotations

import datetime

import pytest

pytest.importorskip("cryptography")

from cryptography import x509

from ansible_collections.dianrong.cloud.plugins.modules import tls_certificate
from ansible_collections.dianrong.cloud.plugins.plugin_utils import _certificates
from drcloud.lab import material

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
# CAs of these tests are made now, and are looked at when they were.
BOOTED = datetime.datetime.now(datetime.UTC)
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
    return _certificates.load_authority(*texts, BOOTED)


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


def test_what_ends_with_its_ca_is_not_made_again_in_each_run(authority):
    """A new one would end on the same day; only when both have ended there is something to say."""
    last = authority.certificate.not_valid_after_utc
    near = last - datetime.timedelta(days=20)
    assert objection(_certificates.issue(authority, WISH, near), authority, now=near) is None
    shorter = _certificates.issue(authority, WISH._replace(lifetime=datetime.timedelta(days=10)), near)
    assert "it expires on" in objection(shorter, authority, now=near)
    assert "it expires on" in objection(_certificates.issue(authority, WISH, near), authority, now=last)


def test_a_ca_that_ends_soon_is_told(authority):
    last = authority.certificate.not_valid_after_utc
    assert _certificates.ending(authority, WISH, last - datetime.timedelta(days=31)) is None
    said = _certificates.ending(authority, WISH, last - datetime.timedelta(days=29))
    assert said == f"CN=ca ends on {last:%Y-%m-%d}, and with it all that it signs: give it a successor"


@pytest.mark.parametrize("days", [29, 30])
def test_a_lifetime_of_which_nothing_would_be_left_is_refused(days):
    with pytest.raises(
        ValueError, match=f"days {days} leaves nothing of a certificate, for it is renewed 30"
    ):
        _certificates.check_lifetime(WISH._replace(lifetime=datetime.timedelta(days=days)))
    _certificates.check_lifetime(WISH)


def test_an_address_is_the_same_however_it_is_written(authority):
    pem = _certificates.issue(authority, WISH._replace(names=("fd00::1", "dk-01")), NOW)
    assert objection(pem, authority, WISH._replace(names=("FD00:0::0001", "dk-01"))) is None
    assert "it is for dk-01, fd00::1" in objection(pem, authority, WISH._replace(names=("fd00::2", "dk-01")))


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
        _certificates.load_authority(certificate or texts[0], key or texts[1], BOOTED)


def test_a_key_of_another_ca_is_refused(tmp_path):
    for name in ("a", "b"):
        material.ensure_ca(tmp_path / name, name)
    with pytest.raises(ValueError, match="does not belong"):
        _certificates.load_authority(
            (tmp_path / "a/ca.pem").read_text(), (tmp_path / "b/ca.key").read_text(), BOOTED
        )


def pair(directory, name="ca"):
    material.ensure_ca(directory, name)
    return (directory / "ca.pem").read_text(), (directory / "ca.key").read_text()


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (BOOTED + datetime.timedelta(days=3651), "the CA's certificate expired on "),
        (BOOTED - datetime.timedelta(days=2), "the CA's certificate is not good before "),
    ],
)
def test_a_ca_out_of_its_time_signs_nothing(tmp_path, moment, message):
    with pytest.raises(ValueError, match=message):
        _certificates.load_authority(*pair(tmp_path), moment)


def test_a_servers_certificate_is_no_ca(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    with pytest.raises(ValueError, match=r"CN=10\.90\.0\.31 is not the certificate of a CA"):
        _certificates.load_trusted(pem, NOW + datetime.timedelta(days=1))


def test_a_rotation_replaces_what_is_good(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    assert objection(pem, authority, WISH._replace(rotate=True)) == "a rotation was asked for"


def test_a_client_does_not_show_what_is_for_a_server(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    client = WISH._replace(usages=("client",))
    assert objection(pem, authority, client) == "it is made for the use of server"
    assert objection(_certificates.issue(authority, client, NOW), authority, client) is None
    both = WISH._replace(usages=("server", "client"))
    assert objection(_certificates.issue(authority, both, NOW), authority, both) is None


def test_the_cmdb_gets_what_identifies_a_certificate(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    facts = _certificates.facts(pem)
    assert (facts.subject, facts.issuer) == ("CN=10.90.0.31", "CN=ca")
    assert facts.not_after == (NOW + WISH.lifetime).isoformat()
    assert len(facts.fingerprint) == 64
    assert facts.fingerprint != _certificates.facts(_certificates.issue(authority, WISH, NOW)).fingerprint


def given(pem, authority, wish=WISH, now=NOW):
    return _certificates.load_given(pem, authority, wish, now)


def test_a_certificate_made_elsewhere_is_taken_as_it_is(authority):
    pem = _certificates.issue(authority, WISH, NOW)
    assert given(pem, authority) == pem
    # It is not ours to renew, so one about to expire still serves.
    assert given(pem, authority, now=NOW + datetime.timedelta(days=390)) == pem


def test_a_certificate_made_elsewhere_that_would_not_serve_is_refused(authority, tmp_path):
    pem = _certificates.issue(authority, WISH, NOW)
    other = _certificates.issue(authority, WISH, NOW)
    swapped = tls_certificate.certificate_in(pem) + other[other.index("-----BEGIN PRIVATE") :]
    cases = [
        ("nonsense", WISH, NOW, "no certificate with its unencrypted private key"),
        (tls_certificate.certificate_in(other) or "", WISH, NOW, "no certificate with its"),
        (swapped, WISH, NOW, "its key does not belong to it"),
        (pem, WISH, NOW + datetime.timedelta(days=398), "it expired on 2027-12-24"),
        (_certificates.issue(make(tmp_path, "b"), WISH, NOW), WISH, NOW, "another CA issued it"),
        (pem, WISH._replace(names=("dk-01",)), NOW, "it is for 10.90.0.31, infra-01"),
        (pem, WISH._replace(usages=("client",)), NOW, "it is made for the use of server"),
    ]
    for text, wish, now, message in cases:
        with pytest.raises(ValueError, match=message):
            given(text, authority, wish, now)


def test_the_ca_lands_beside_the_certificate_where_it_is_asked_for():
    file = {"path": "/k/tls.pem", "ca_path": "/k/ca.pem", "mode": "0640", "owner": "root", "group": "root"}
    (ca,) = tls_certificate.wanted({**file, "pem": None, "ca_pem": "CA"}, None)
    assert (ca.path, ca.content, ca.secret) == ("/k/ca.pem", b"CA\n", False)
    ca, own = tls_certificate.wanted({**file, "pem": "KEY", "ca_pem": "CA"}, None)
    assert (own.path, own.content, own.secret) == ("/k/tls.pem", b"KEY", True)


def test_trust_in_what_expired_is_refused_by_its_name(tmp_path):
    good, bad = pair(tmp_path / "a", "a")[0], pair(tmp_path / "b", "b")[0]
    _certificates.check_time(good + bad, BOOTED)
    with pytest.raises(ValueError, match="CN=a expired on "):
        _certificates.check_time(good + bad, BOOTED + datetime.timedelta(days=3651))
    with pytest.raises(ValueError, match="it is no certificate in PEM"):
        _certificates.check_time("nonsense", BOOTED)
