"""Keys and secrets are made once, complete, and for nobody else to read."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

from cryptography import x509

from drcloud.lab import material


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_ssh_key_is_made_once_and_ssh_reads_it(tmp_path: Path) -> None:
    assert material.ensure_ssh_key(tmp_path, "drcloud-lab-x")
    before = (tmp_path / "id_ed25519").read_bytes()
    assert not material.ensure_ssh_key(tmp_path, "drcloud-lab-x")
    assert (tmp_path / "id_ed25519").read_bytes() == before
    assert mode(tmp_path / "id_ed25519") == 0o600
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(tmp_path / "id_ed25519")], check=True, capture_output=True, text=True
    ).stdout
    assert derived.split()[:2] == (tmp_path / "id_ed25519.pub").read_text().split()[:2]


def test_half_a_key_pair_is_made_again(tmp_path: Path) -> None:
    material.ensure_ssh_key(tmp_path, "x")
    (tmp_path / "id_ed25519.pub").unlink()
    assert material.ensure_ssh_key(tmp_path, "x")
    assert (tmp_path / "id_ed25519.pub").is_file()


def test_the_ca_can_sign_and_lasts(tmp_path: Path) -> None:
    assert material.ensure_ca(tmp_path, "drCloud lab x")
    assert not material.ensure_ca(tmp_path, "drCloud lab x")
    certificate = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert left > datetime.timedelta(days=365)
    assert mode(tmp_path / "ca.key") == 0o600


def test_the_password_is_long_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "registry-password"
    assert material.ensure_password(path)
    assert not material.ensure_password(path)
    assert len(path.read_text()) >= 32
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert material.write(path, b"a", 0o644)
    assert not material.write(path, b"a", 0o644)
    assert material.write(path, b"a", 0o600)
    assert material.write(path, b"b", 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
