"""Values out of files that Ansible Vault encrypted, as a whole or value by value.

The password is found as Ansible finds it: ``ANSIBLE_VAULT_PASSWORD_FILE`` or ``vault_password_file`` of
``ansible.cfg``, a file or a program that prints it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from drcloud.errors import InvalidInputError


def read(path: Path, key: str, subject: str) -> str:
    """Return the text under a key; ``db.password`` is one within another.

    ``subject`` begins the message of an ``InvalidInputError``; no message shows a value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{subject}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{subject}: {path} is not a text file in UTF-8") from error
    vault = _Vault(path, subject)
    whole = text.startswith("$ANSIBLE_VAULT;")
    value = _at(_document(vault.decrypted(text) if whole else text, vault), key, path, subject)
    if isinstance(value, _Encrypted):
        return vault.decrypted(value)
    if not isinstance(value, str):
        raise InvalidInputError(f"{subject}: what stands there is no text: put it in quotes")
    if not whole:
        raise InvalidInputError(f"{subject}: it is not encrypted: run `ansible-vault encrypt {path}`")
    return value


class _Encrypted(str):
    """A value behind ``!vault``."""

    __slots__ = ()


class _Vault:
    def __init__(self, path: Path, subject: str) -> None:
        self.path, self.subject = path, subject

    def decrypted(self, text: str) -> str:
        """Return what was encrypted."""
        # Late: ansible-core is slow to import, and most references are none of a vault.
        from ansible import constants
        from ansible.errors import AnsibleError
        from ansible.parsing.dataloader import DataLoader
        from ansible.parsing.vault import VaultLib, get_file_vault_secret

        name = constants.config.get_config_value("DEFAULT_VAULT_PASSWORD_FILE")
        if not name:
            raise InvalidInputError(
                f"{self.subject}: there is no password for {self.path}: "
                "set ANSIBLE_VAULT_PASSWORD_FILE, or vault_password_file in ansible.cfg"
            )
        try:
            secret = get_file_vault_secret(filename=name, loader=DataLoader())
            secret.load()
            return str(VaultLib([("default", secret)]).decrypt(text).decode("utf-8"))
        except (AnsibleError, OSError, ValueError) as error:
            raise InvalidInputError(
                f"{self.subject}: {self.path} cannot be decrypted with the password of {name}"
            ) from error


class _Loader(yaml.SafeLoader):
    """A loader that keeps ``!vault`` values apart."""


_Loader.add_constructor("!vault", lambda _loader, node: _Encrypted(str(node.value).strip()))


def _document(text: str, vault: _Vault) -> Mapping[str, Any]:
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with one more tag
    except yaml.YAMLError:
        # What YAML says quotes the text.
        raise InvalidInputError(f"{vault.subject}: {vault.path} is not YAML") from None
    if not isinstance(found, Mapping):
        raise InvalidInputError(f"{vault.subject}: {vault.path} is not a mapping of keys")
    return found


def _at(document: Mapping[str, Any], key: str, path: Path, subject: str) -> Any:
    value: Any = document
    for step in [key] if key in document else key.split("."):
        if not isinstance(value, Mapping) or step not in value:
            raise InvalidInputError(f"{subject}: {path} has no key {key}")
        value = value[step]
    return value
