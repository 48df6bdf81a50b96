"""Accounts of a registry, and access of engines to registries."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _files
from ansible_collections.dianrong.cloud.plugins.modules import docker_registry_access as access
from ansible_collections.dianrong.cloud.plugins.modules import registry_users as users

PEM = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"


def registry(endpoint="10.90.0.31:5000", ca=PEM, username="drcloud", password="hunter2"):
    return {"name": "main", "endpoint": endpoint, "ca": ca, "username": username, "password": password}


def test_a_new_account_gets_a_bcrypt_hash_and_keeps_it():
    accounts, renewed = users.plan([{"name": "drcloud", "password": "hunter2"}], {})
    assert renewed == ["drcloud"]
    assert accounts["drcloud"].startswith("$2y$10$")
    again, renewed = users.plan([{"name": "drcloud", "password": "hunter2"}], accounts)
    assert renewed == []
    assert again == accounts


def test_another_password_gets_another_hash_and_other_accounts_go():
    accounts, _ = users.plan(
        [{"name": "drcloud", "password": "hunter2"}, {"name": "old", "password": "x"}], {}
    )
    changed, renewed = users.plan([{"name": "drcloud", "password": "hunter3"}], accounts)
    assert renewed == ["drcloud"]
    assert set(changed) == {"drcloud"}


def test_a_hash_that_the_registry_does_not_take_is_replaced():
    _, renewed = users.plan([{"name": "drcloud", "password": "hunter2"}], {"drcloud": "{SHA}8sTjLWEt"})
    assert renewed == ["drcloud"]


def test_the_file_is_read_as_it_is_written():
    accounts = {"b": "$2y$10$x", "a": "$2y$10$y"}
    assert users.render(accounts) == "a:$2y$10$y\nb:$2y$10$x\n"
    assert users.parse(users.render(accounts)) == accounts


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_name_that_would_break_the_file_is_refused(name):
    with pytest.raises(_files.FileError, match="must not be empty nor hold a colon"):
        users.plan([{"name": name, "password": "x"}], {})


def test_access_is_credentials_for_root_and_a_ca_where_the_engine_looks():
    config, ca = access.wanted([registry()], "/etc/drcloud/docker/config.json", "/etc/docker/certs.d", [])
    auth = json.loads(config.content)["auths"]["10.90.0.31:5000"]["auth"]
    assert base64.b64decode(auth) == b"drcloud:hunter2"
    assert config.mode == 0o600
    assert config.secret
    assert ca.path == "/etc/docker/certs.d/10.90.0.31:5000/ca.crt"
    assert ca.content.decode() == access.MARK + PEM


def test_a_registry_without_account_and_ca_needs_neither():
    (config,) = access.wanted([registry(ca=None, username=None, password=None)], "/c", "/d", [])
    assert json.loads(config.content) == {"auths": {}}


def test_the_ca_of_a_registry_that_is_gone_is_removed():
    files = access.wanted([], "/c", "/d", ["/d/old:5000/ca.crt"])
    assert [(file.path, file.content) for file in files[1:]] == [("/d/old:5000/ca.crt", None)]


def test_only_ca_files_of_ours_are_ever_removed(tmp_path):
    for endpoint, text in (("ours:5000", access.MARK + PEM), ("theirs:5000", PEM)):
        (tmp_path / endpoint).mkdir()
        (tmp_path / endpoint / "ca.crt").write_text(text)
    assert access.written_by_us(str(tmp_path)) == [str(tmp_path / "ours:5000" / "ca.crt")]


@pytest.mark.parametrize("endpoint", ["", "..", "https://a:5000", "a/b"])
def test_an_endpoint_that_leads_elsewhere_is_refused(endpoint):
    with pytest.raises(_files.FileError, match="expected host:port"):
        access.wanted([registry(endpoint=endpoint)], "/c", "/d", [])
