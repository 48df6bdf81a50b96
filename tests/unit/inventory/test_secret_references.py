"""References to secrets: read on the controller, never shown."""

from __future__ import annotations

import pytest

from drcloud.errors import InvalidInputError
from drcloud.secrets import expand, resolve


def test_a_secret_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("REGISTRY_PASSWORD", "s3cret ")
    assert resolve("env:REGISTRY_PASSWORD") == "s3cret "


@pytest.mark.parametrize("content", ["密码 1", "密码 1\n", "密码 1\r\n"])
def test_a_secret_comes_from_a_file_without_its_line_end(monkeypatch, tmp_path, content):
    (tmp_path / "password").write_bytes(content.encode())
    monkeypatch.setenv("STATE", str(tmp_path))
    assert resolve("file:${STATE}/password") == "密码 1"


def test_only_one_line_end_goes(tmp_path):
    (tmp_path / "ca.pem").write_text("-----BEGIN\n-----END\n\n")
    assert resolve(f"file:{tmp_path}/ca.pem") == "-----BEGIN\n-----END\n"


@pytest.mark.parametrize("reference", ["hunter2", "vault:x", "env:", "file:", "", ":x"])
def test_what_is_no_reference_is_refused_and_not_repeated(reference):
    with pytest.raises(InvalidInputError) as caught:
        resolve(reference)
    assert "env:NAME or file:PATH" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:DRC_UNSET", "DRC_UNSET is not set"),
        ("env:DRC_EMPTY", "DRC_EMPTY is empty"),
        ("file:${DRC_UNSET}/x", "DRC_UNSET is not set"),
        ("file:/nowhere/password", "cannot read /nowhere/password: No such file"),
        ("file:/", "cannot read /: Is a directory"),
        ("file:/dev/null", "/dev/null is empty"),
    ],
)
def test_an_error_names_the_reference(monkeypatch, reference, said):
    monkeypatch.delenv("DRC_UNSET", raising=False)
    monkeypatch.setenv("DRC_EMPTY", "")
    with pytest.raises(InvalidInputError) as caught:
        resolve(reference)
    assert reference in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_is_not_text_is_said_so(tmp_path):
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="not a text file in UTF-8"):
        resolve(f"file:{tmp_path}/key")


def test_paths_take_variables_and_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ops")
    monkeypatch.setenv("LAB", "lab-1")
    assert expand("~/${LAB}/$LAB.key", "option x") == "/home/ops/lab-1/lab-1.key"
    with pytest.raises(InvalidInputError, match="option x: the environment variable LUB is not set"):
        expand("/${LUB}", "option x")


VAULT_PASSWORD = "open sesame"


@pytest.fixture
def vault(monkeypatch, tmp_path):
    """Return what writes a file of Ansible Vault."""
    from ansible.parsing.vault import VaultLib, VaultSecret

    (tmp_path / "password").write_text(f"{VAULT_PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))

    def encrypted(text, password=VAULT_PASSWORD):
        return VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text.encode()).decode()

    def write(text, *, whole=True, password=VAULT_PASSWORD):
        path = tmp_path / "secrets.yml"
        path.write_text(encrypted(text, password) if whole else text, encoding="utf-8")
        return path

    write.encrypted = encrypted
    return write


def test_a_secret_comes_from_an_encrypted_file(vault):
    path = vault("shop: {db: {password: 密码}}\na.b: dotted\n")
    assert resolve(f"vault:{path}#shop.db.password") == "密码"
    assert resolve(f"vault:{path}#a.b") == "dotted"


def test_a_secret_comes_from_an_encrypted_value(vault):
    lines = "".join(f"  {line}\n" for line in vault.encrypted("s3cret").splitlines())
    path = vault(f"plain: text\npassword: !vault |\n{lines}", whole=False)
    assert resolve(f"vault:{path}#password") == "s3cret"
    with pytest.raises(InvalidInputError, match="it is not encrypted: run `ansible-vault encrypt"):
        resolve(f"vault:{path}#plain")


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("a: {b: hunter2}\n", "a.c", "has no key a.c"),
        ("a: [hunter2]\n", "a", "what stands there is no text"),
        ("a: ''\n", "a", "it is empty"),
        ("hunter2: [\n", "a", "is not YAML"),
        ("hunter2\n", "a", "is not a mapping"),
    ],
)
def test_what_is_wrong_in_a_vault_is_said_without_its_content(vault, text, key, said):
    path = vault(text)
    with pytest.raises(InvalidInputError) as caught:
        resolve(f"vault:{path}#{key}")
    assert f"secret vault:{path}#{key}: " in str(caught.value)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_vault_of_another_password_or_of_none_is_said(vault, monkeypatch):
    path = vault("a: b\n", password="other")
    with pytest.raises(InvalidInputError, match="cannot be decrypted with the password of"):
        resolve(f"vault:{path}#a")
    with pytest.raises(InvalidInputError, match=r"cannot read .*nowhere.yml: No such file"):
        resolve(f"vault:{path.with_name('nowhere.yml')}#a")
    with pytest.raises(InvalidInputError, match="env:NAME or file:PATH or vault:FILE#KEY"):
        resolve(f"vault:{path}")
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    with pytest.raises(InvalidInputError, match="set ANSIBLE_VAULT_PASSWORD_FILE"):
        resolve(f"vault:{path}#a")
